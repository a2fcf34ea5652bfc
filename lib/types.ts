/** Shapes that more than one stage uses, with units and ranges. */

import type { FloatDtype } from "./safetensors/dtype.ts";
import type { TensorInfo } from "./safetensors/header.ts";

/** Width of a code in bits. */
export type Bits = 2 | 4 | 8;

/** Name of a backend, as `--backend` and the report give it. */
export type BackendName = "webgpu" | "wasm" | "reference";

/** What is asked for: a backend, or the fastest this machine has. */
export type BackendChoice = BackendName | "auto";

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

/**
 * The parameters of one layer over its rows. Segment s holds rows
 * `starts[s]` (inclusive) to `starts[s+1]` (exclusive), whose blocks share parameters.
 */
export interface Schedule {
  /** First row of each segment, and the number of rows at the end: [S+1], ascending. */
  starts: number[];
  /** Blocks side by side in a row: K. */
  blocks: number;
  /** [S*K], segment by segment; exact in the dtype they are stored in. */
  scale: Float32Array;
  /** [S*K], 0 to qmax. */
  zero_point: Uint8Array;
  /** [S*K] scales that make the codes; absent where they are the stored ones. */
  code_scale?: Float32Array;
  /** [S*K] zero points before they were rounded to integers; absent where they always were. */
  exact_zero_point?: Float32Array;
}

/** Parameters of the time groups of a layer, and what they make of its weights. */
export interface QuantizedGroups {
  /** One segment for each time group. */
  groups: Schedule;
  /** The energies of the layer. */
  sums: QualitySums;
}

/** What became of a layer. */
export interface QuantizedLayer extends QuantizedGroups {
  /** The parameters of its rows: `groups` unless they were smoothed. */
  schedule: Schedule;
  /** What phase baseline comes to; absent where it is the phase. */
  baseline?: QuantizedGroups;
}

/** A weight matrix that will be quantized. */
export interface LayerPlan {
  /** Module name: the tensor's without `.weight`. */
  name: string;
  /** The source tensor. */
  tensor: TensorInfo;
  /** Name of the shard that holds it. */
  shard: string;
  /** Dtype of the weights and of the stored scales. */
  dtype: FloatDtype;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Width of a code. */
  bits: Bits;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  boundaries: number[];
  /** Columns of a block as asked for; `null` where a slice is one block. */
  groupSize: number | null;
  /** Columns of a block: `groupSize`, or all of them. */
  blockColumns: number;
  /** Whether the block size asked for did not divide the columns, so that one block a slice is used. */
  fallback: boolean;
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
}

/** Largest code of a width: 2^bits - 1. */
export function qmaxOf(bits: Bits): number {
  return 2 ** bits - 1;
}
