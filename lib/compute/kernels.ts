/**
 * What every backend computes: ranges, histograms and codes of the blocks of a tile. Kernels know
 * bytes and blocks; they never see a tensor name, a time group or a score. All give the same ranges,
 * counts, codes and packed bytes as the reference, bit for bit; sums agree within 1e-6 relative.
 */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { Bits, BlockGrid, CompensationInputs, QualitySums, Scheme } from "../types.ts";

/** What kernels know a dtype by: `kind` of the WebAssembly modules, `KIND` of the shaders. */
export const KIND: Record<FloatDtype, number> = { BF16: 0, F16: 1, F32: 2 };

/** A rectangle of weights, row by row without gaps, and how it is cut into blocks. */
export interface Tile extends BlockGrid {
  /** Dtype of the bytes. */
  dtype: FloatDtype;
  /** Rows, at least 1. */
  rows: number;
  /** Columns, at least 1. */
  columns: number;
}

/** The range of each block, [blocks] in row-major order, subnormal values counted as 0. */
export interface BlockRanges {
  /** min(0, smallest value); NaN where the block holds a NaN or an infinity. */
  lo: Float32Array;
  /** max(0, largest value); NaN where the block holds a NaN or an infinity. */
  hi: Float32Array;
}

/** A scale that makes codes, as F32: no less than the least normal one, so that its inverse is normal as well. */
export function roundCodeScale(scale: number): number {
  return Math.max(2 ** -126, Math.fround(scale));
}

/**
 * Whether kernels that add up in F32 may take a scale. Beyond these a square could overflow or be lost below the
 * least value; and below 2^-125 a subnormal weight, which counts as 0, could reach half a step. No weight of a
 * trained model is that large or small; such a tile takes the plain kernel.
 */
export function isCommonScale(scale: number): boolean {
  return scale >= 2 ** -40 && scale <= 2 ** 40;
}

/** The parameters of each block, [blocks] in row-major order. */
export interface BlockParams {
  /** What a code decodes with; a normal F32 above 0. */
  scale: Float32Array;
  /** 0 to qmax. */
  zero_point: Uint8Array;
  /** Scales that make the codes, where they are not the stored ones: normal F32 above 0. */
  code_scale?: Float32Array | undefined;
}

/** The parameters that a search found. */
export interface FoundParams extends BlockParams {
  code_scale: Float32Array;
}

/** What of a scheme a search has to know. */
export type SearchScheme = Pick<Scheme, "scaleDtype" | "symmetric">;

/** The parameters of each block by its own range, and what a search begins with. */
export interface OwnParams extends BlockParams {
  /** Largest magnitude of a weight; 0 where there is nothing to search. */
  largest: Float32Array;
}

/** A tile as codes. */
export interface EncodedTile {
  /** Packed rows, see pack_codes.ts: [rows, ceil(columns * bits / 32)] little-endian words. */
  packed: Uint8Array<ArrayBuffer>;
  /** What all its blocks come to. */
  sums: QualitySums;
}

/** Histograms that kernels hold at a time: 8 MB of counts. */
export const MAX_HISTOGRAMS = 32;

/** Some of the blocks of a tile that lie side by side, and where each is counted. */
export interface BlockRun {
  /** First block. */
  first: number;
  /** How many, at least 1. */
  count: number;
  /** Histogram of the first one; the others follow. */
  histogram: number;
}

/**
 * Kernels; those of a device answer later. Packed bytes are valid until the next call, which may reuse
 * their memory; ranges and parameters until the next one of the same kind, so that a job copies what it
 * gives back.
 */
export interface Kernels {
  /** Bytes of a tile that suit them best, and are the most they take. */
  readonly tileBytes: number;
  /**
   * A buffer of `byteLength` bytes that tiles are best read into: passing it, or a part of it, to
   * the kernels saves a copy. Valid until the next call with a larger size, which keeps its content.
   */
  input(byteLength: number): Uint8Array<ArrayBuffer>;
  /** The range of each block. */
  range(bytes: Uint8Array, tile: Tile): BlockRanges | Promise<BlockRanges>;
  /**
   * The parameters with which each block loses least at 2 bits, see kernels/search.ts: the same on every
   * backend, bit for bit.
   *
   * @param tile Its blocks lie in one row each.
   * @param own Parameters by the range; they stay where there is no better choice.
   * @param scheme What stored scales are rounded to, and whether zero points are fixed.
   */
  search(
    bytes: Uint8Array,
    tile: Tile,
    own: OwnParams,
    scheme: SearchScheme,
  ): FoundParams | Promise<FoundParams>;
  /**
   * Codes, packed, and sums:
   * code = clamp(round_half_even(f32(x * f32(1 / code_scale))) + zero_point, 0, qmax).
   *
   * @param isHeld Whether `bytes` are unchanged since `range` was called with them.
   * @param isSummed Whether the sums are wanted; kernels that are no faster without make them anyway.
   */
  encode(
    bytes: Uint8Array,
    tile: Tile,
    bits: Bits,
    params: BlockParams,
    isHeld?: boolean,
    isSummed?: boolean,
  ): EncodedTile | Promise<EncodedTile>;
  /**
   * Codes, packed, and sums, with error compensation, see kernels/compensate.ts: the same codes on every
   * backend, bit for bit. The sums have those of the layer's output.
   *
   * @param tile Of whole rows of a layer.
   * @param inputs Of the layer.
   */
  compensate(
    bytes: Uint8Array,
    tile: Tile,
    bits: Bits,
    params: BlockParams,
    inputs: CompensationInputs,
  ): EncodedTile | Promise<EncodedTile>;
  /** Starts anew with so many histograms, all counts 0; at most {@linkcode MAX_HISTOGRAMS}. */
  clearCounts(histograms: number): void | Promise<void>;
  /**
   * Counts the weights of some blocks of a tile by the upper 16 bits of their representation,
   * whatever value they mark. Adds to what was counted since the last `clearCounts`; a count holds 32
   * bits, so at most 2^32 - 1 weights may go into one histogram.
   *
   * @param tile Its blocks span all rows.
   * @param isHeld Whether `bytes` are unchanged since `range` was called with them.
   */
  count(bytes: Uint8Array, tile: Tile, run: BlockRun, isHeld?: boolean): void | Promise<void>;
  /** The counts of so many histograms: [histograms * BINS], valid until the next call. */
  readCounts(histograms: number): Uint32Array | Promise<Uint32Array>;
}

/** Kernels that answer at once. */
export interface SyncKernels extends Kernels {
  range(...args: Parameters<Kernels["range"]>): BlockRanges;
  search(...args: Parameters<Kernels["search"]>): FoundParams;
  encode(...args: Parameters<Kernels["encode"]>): EncodedTile;
  compensate(...args: Parameters<Kernels["compensate"]>): EncodedTile;
  clearCounts(histograms: number): void;
  count(...args: Parameters<Kernels["count"]>): void;
  readCounts(histograms: number): Uint32Array;
}

/** Blocks side by side in a tile. */
export function blocksAcross(tile: Tile): number {
  return Math.ceil(tile.columns / tile.blockColumns);
}

/** Blocks of a tile. */
export function blockCount(tile: Tile): number {
  return Math.ceil(tile.rows / tile.blockRows) * blocksAcross(tile);
}

/** A device was lost, ran out of memory or refused a command; another backend can do its work. */
export class DeviceError extends Error {
  /** Always `"DeviceError"`. */
  override readonly name = "DeviceError";
}
