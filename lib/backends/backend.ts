/**
 * What a run asks of a backend: slices of files in, packed rows in files out. Jobs are plain data, so
 * that they can go to a worker; weights never do. A backend knows files, bytes and blocks; it never
 * sees a tensor name, a time group or a score.
 */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { Bits, QualitySums } from "../types.ts";
import type { BlockParams, BlockRanges } from "./kernels.ts";

/** Name of a backend, as `--backend` and the report give it. */
export type BackendName = "webgpu" | "wasm" | "reference";

/** A place in a file. */
export interface FilePlace {
  /** Path to open. */
  path: string;
  /** The file's name in messages. */
  label: string;
  /** First byte. */
  begin: number;
}

/** A run of whole rows of a matrix whose columns are cut into blocks that span all of them. */
export interface Slice {
  /** Where the weights lie, row behind row. */
  source: FilePlace;
  /** Dtype of the weights. */
  dtype: FloatDtype;
  /** Rows, at least 1. */
  rows: number;
  /** Columns, at least 1. */
  columns: number;
  /** Columns of a block: `columns`, or a multiple of 16 that divides them. */
  blockColumns: number;
}

/** What becomes of a slice's codes. */
export interface SliceTarget {
  /** Where the packed rows go; the file exists and has its final length. */
  target: FilePlace;
  /** Width of a code. */
  bits: Bits;
}

/** A slice that was measured and, where that was enough to fix its parameters, encoded. */
export interface QuantizedSlice extends BlockRanges {
  /** Energies of the slice; `undefined` where a block is all zero or beyond bounds, so that nothing was encoded. */
  sums: QualitySums | undefined;
}

/** Bytes to be copied as they are. */
export interface CopyJob {
  /** From where. */
  source: FilePlace;
  /** To where; the file exists and has its final length. */
  target: FilePlace;
  /** How many. */
  byteLength: number;
}

/** One way to compute. Any number of calls may be under way at once. */
export interface Backend {
  /** Which one it is. */
  readonly name: BackendName;
  /** What it runs on, in a few words, for the log. */
  readonly description: string;
  /** The range of each block of a slice: [blocks]. */
  measure(slice: Slice): Promise<BlockRanges>;
  /** Encodes a slice with given parameters. */
  encode(slice: Slice & SliceTarget, params: BlockParams): Promise<QualitySums>;
  /** Measures a slice and encodes it with the parameters of its own range, reading it once if it can. */
  quantize(slice: Slice & SliceTarget): Promise<QuantizedSlice>;
  /** Copies bytes. */
  copy(job: CopyJob): Promise<void>;
  /** Releases files, workers and devices; calls under way are abandoned. */
  close(): void;
}

/** Called with source bytes worked through; may wait, or throw to stop the run. */
export type OnBytes = (bytes: number) => Promise<void> | void;
