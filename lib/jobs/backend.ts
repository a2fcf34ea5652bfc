/**
 * What a run asks of a backend: slices of files in, packed rows in files out. Jobs are plain data, so
 * that they can go to a worker; weights never do. A backend knows files, bytes and blocks; it never
 * sees a tensor name, a time group or a score.
 */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { BlockRating } from "../params/rate_block.ts";
import type { ValueCounts } from "../params/read_histogram.ts";
import type { BackendName, Bits, QualitySums } from "../types.ts";
import type { BlockParams, BlockRanges } from "../compute/kernels.ts";

/** A place in a file. */
export interface FilePlace {
  /** Path to open. */
  path: string;
  /** The file's name in messages. */
  label: string;
  /** First byte. */
  begin: number;
}

/** A run of whole rows of a matrix whose columns are cut into blocks. */
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
  /**
   * Whether each row has blocks of its own; else blocks span all rows. Encoding such a slice is not
   * told of as progress, since its rows are part of another slice's work.
   */
  ownRows?: boolean;
}

/** What a slice is encoded with, [blocks]; row by row where each row has blocks of its own. */
export interface EncodeParams extends BlockParams {
  /** Scales that make the codes, where they are not the stored ones: normal F32 above 0. */
  code_scale?: Float32Array | undefined;
  /** Whether the energies are known already: those that come back are then of no use. */
  isKnown?: boolean;
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

/** A slice that was measured and whose blocks were rated. */
export interface RatedSlice extends BlockRanges {
  /** For each block its candidates, `undefined` where it is all zero; empty where a block is beyond bounds. */
  ratings: (BlockRating | undefined)[];
  /**
   * The values of the slice and how often each occurs, where it is one block of BF16 or F16: enough to
   * know its energies under any parameters.
   */
  values?: ValueCounts;
  /**
   * Energies of the slice with each block quantized with the parameters of its own range; `undefined`
   * where a block is beyond bounds.
   */
  sums: QualitySums | undefined;
}

/** Rows that were encoded with some parameters, and now are with others. */
export interface Reencoded {
  /** Their energies with the parameters before. */
  before: QualitySums;
  /** Their energies with those they have now. */
  after: QualitySums;
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
  /** The range of each block of a slice, whose blocks span all rows: [blocks]. */
  measure(slice: Slice): Promise<BlockRanges>;
  /** Encodes a slice with given parameters. */
  encode(slice: Slice & SliceTarget, params: EncodeParams): Promise<QualitySums>;
  /** Measures a slice and encodes it with the parameters of its own range, reading it once if it can. */
  quantize(slice: Slice & SliceTarget): Promise<QuantizedSlice>;
  /** Encodes a slice anew, of whose energies with other parameters the caller knows only the whole. */
  reencode(
    slice: Slice & SliceTarget,
    before: EncodeParams,
    after: EncodeParams,
  ): Promise<Reencoded>;
  /** Measures a slice and rates what each block would lose by other parameters than its own; writes nothing. */
  rate(slice: Slice & { bits: Bits }): Promise<RatedSlice>;
  /** Copies bytes. */
  copy(job: CopyJob): Promise<void>;
  /** Releases files, workers and devices; calls under way are abandoned. */
  close(): void;
}

/** Called with source bytes worked through; may wait, or throw to stop the run. */
export type OnBytes = (bytes: number) => Promise<void> | void;
