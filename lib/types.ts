/** Shapes that more than one folder uses, with units and ranges. */

import type { FloatDtype } from "./safetensors/dtype.ts";

/** Width of a code in bits. */
export type Bits = 2 | 4 | 8;

/** Name of a backend, as `--backend` and the report give it. */
export type BackendName = "webgpu" | "wasm" | "reference";

/** What is asked for: a backend, or the fastest one, whichever that is. */
export type BackendChoice = BackendName | "auto";

/**
 * What shares parameters: the weights of one row, in blocks side by side, or all rows of a time group.
 */
export type Granularity = "row" | "slice";

/** How a checkpoint is laid out: which tensors stand for a layer, and in what files. */
export type FormatName = "compressed-tensors" | "sdnq" | "gguf" | "comfy";

/** What the parameters of a layer may be. */
export interface Scheme {
  /** Width of a code. */
  bits: Bits;
  /** Dtype of the stored scales. */
  scaleDtype: FloatDtype;
  /** Whether every zero point is the middle code, 2^(bits-1). */
  symmetric: boolean;
}

/** A place in a file. */
export interface FilePlace {
  /** Path to open. */
  path: string;
  /** The file's name in messages. */
  label: string;
  /** First byte. */
  begin: number;
}

/** How parameters are chosen: by each group's own range, moved gradually between groups, or all at once. */
export type Phase = "baseline" | "smooth" | "optimize";

/** The curve along which parameters move from one time group to the next. */
export type SmoothingMethod = "linear" | "cubic" | "sigmoid";

/** Parameters of an asymmetric integer quantizer: value = (code - zero_point) * scale. */
export interface QuantParams {
  /** Step between two neighbouring codes; above 0. */
  scale: number;
  /** Code of the value 0; 0 to qmax. A mean over several blocks need not be an integer. */
  zero_point: number;
}

/** How a matrix is cut into blocks, each with parameters of its own. */
export interface BlockGrid {
  /** Rows of a block, at least 1; the last block of a column may have fewer. */
  blockRows: number;
  /** Columns of a block: all of them, or a multiple of 16 that divides them. */
  blockColumns: number;
}

/** Where the steps of a time axis come from: rows of a weight matrix, or the timesteps of a calibration. */
export type AxisSource = "positional" | "calibrated";

/**
 * The time axis of a layer: steps, and the time groups they are cut into. The steps of weights are the rows of
 * their matrix; those of inputs are the timesteps of a calibration.
 */
export interface TimeAxis {
  /** Where the steps come from. */
  source: AxisSource;
  /** First step of each time group, and the number of steps at the end: [G+1], ascending from 0. */
  boundaries: number[];
}

/** Parameters over a time axis, as they are scored: segment s holds steps [starts[s], starts[s+1]). */
export interface ParamTrack {
  /** First step of each segment, and the number of steps at the end: [S+1], ascending from 0. */
  starts: number[];
  /** [S]: the mean over the blocks of each segment. */
  scale: number[];
  /** [S]: the mean over the blocks of each segment, so it need not be an integer. */
  zero_point: number[];
}

/**
 * The parameters of all blocks of a layer, or of some of its rows. They are cut into bands, each band
 * into blocks side by side: band b holds rows `bands[b]` (inclusive) to `bands[b+1]` (exclusive).
 */
export interface LayerParams {
  /** First row of each band, and the row behind the last one: [B+1], ascending. */
  bands: number[];
  /** Blocks side by side in a band: K. */
  blocks: number;
  /** [B*K], band by band; exact in the dtype they are stored in. */
  scale: Float32Array;
  /** [B*K], 0 to qmax. */
  zero_point: Uint8Array;
  /** [B*K] scales that make the codes; absent where they are the stored ones. */
  code_scale?: Float32Array;
  /** [B*K] zero points before they were rounded to integers; absent where they always were. */
  exact_zero_point?: Float32Array;
}

/** The parameters of a layer, and what they make of its weights. */
export interface QuantizedParams {
  /** One band for each time group, or finer. */
  params: LayerParams;
  /** The energies of the layer. */
  sums: QualitySums;
}

/** A tensor that is copied as it is. */
export interface SkippedTensor {
  /** Tensor name. */
  name: string;
  /** Why, in a few words. */
  reason: string;
}

/** Energies of a run of weights, from which cosine similarity and SQNR follow. */
export interface QualitySums {
  /** Sum of x^2 over the source values. */
  signal: number;
  /** Sum of v^2 over the decoded values. */
  decoded: number;
  /** Sum of (x - v)^2. */
  error: number;
  /** What these come to in the layer's output, where its inputs are known. */
  output?: OutputSums | undefined;
}

/** Energies of the output of a layer: of x H x^T summed over rows, H the second moments of its inputs. */
export interface OutputSums {
  /** With the source values as x. */
  signal: number;
  /** With the errors as x. */
  error: number;
  /** The two by the second moments in each segment of the time axis, where the inputs are known by segments. */
  segments?: { signal: number; error: number }[] | undefined;
}

/**
 * Second moments of a layer's inputs as kernels take them, H ~ diag(D) + K K^T, its columns in the order in which
 * they are quantized; see params/plan_compensation.ts. In shared memory, since every worker has to see them.
 */
export interface CompensationInputs {
  /** Columns of K: r; 0: there is nothing to compensate, and errors are weighted by D alone. */
  rank: number;
  /** [columns]: the column that comes p-th. */
  order: Int32Array;
  /** [columns * rank]: the row of K of the p-th column. */
  sketch: Float32Array;
  /** [columns * rank]: how the errors before it move the p-th column. */
  gains: Float32Array;
  /** [columns]: D of the p-th column. */
  diagonal: Float32Array;
  /** The moments in each segment of the time axis, by which the outcome is measured; absent: there is one. */
  segments?: Pick<CompensationInputs, "rank" | "sketch" | "diagonal">[] | undefined;
}

/** Width of a code of a layer's inputs. */
export type ActivationBits = 4 | 6 | 8;

/** Width of a code of weights or inputs. */
export type CodeWidth = Bits | ActivationBits;

/** Where time groups begin on the axis of a calibration: groups of equal length, or of the least error. */
export type Grouping = "equal" | "optimal";

/** What becomes of inputs that codes hold far worse than those of most layers: left as they are, or quantized too. */
export type OutlierInputs = "keep" | "quantize";

/** How the range of a layer's inputs is chosen. */
export type ActivationRange = "minmax" | "p99.9" | "optimize";

/** Largest code of a width: 2^bits - 1. */
export function qmaxOf(bits: CodeWidth): number {
  return 2 ** bits - 1;
}

/** The zero point of symmetric parameters: the middle code. */
export function middleOf(bits: Bits): number {
  return 2 ** (bits - 1);
}

/** Bins of a histogram of weights among the codes. */
export const CODE_BINS = 64;

/**
 * The axis of such a histogram, in codes: code c lies at c, and an eighth of all codes is left on both sides of
 * the first and the last one for weights that are clipped.
 */
export function codeAxis(bits: Bits): { from: number; width: number } {
  const margin = 0.5 + 2 ** bits / 8;
  return { from: -margin, width: (qmaxOf(bits) + 2 * margin) / CODE_BINS };
}

/** Bins of a histogram of weights: one for each value of the upper 16 bits of a weight. */
export const BINS = 65536;
