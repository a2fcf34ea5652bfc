/** What a calibration file holds: statistics of the inputs of a model's layers, by timestep. */

import type { FileVersion } from "../base/file_version.ts";
import type { TensorInfo } from "../safetensors/header.ts";

/** An open calibration: its header and its time axis, all values checked. */
export interface Calibration {
  /** Its name in messages. */
  label: string;
  /** Layout of the file. */
  version: 1 | 2;
  /** [T] diffusion timesteps or mask levels, ascending, no two equal. */
  timesteps: number[];
  /** [T] what each timestep weighed when the statistics were added up; absent: all the same. */
  weights: number[] | undefined;
  /** S, the segments of the time axis that have statistics of their own; 1 where there are none. */
  segments: number;
  /** By module name, those that share the input of another too. */
  layers: ReadonlyMap<string, LayerStatistics>;
  /** Path to open. */
  path: string;
  /** What the file was when it was opened. */
  fileVersion: FileVersion;
}

/** The statistics of one layer's input. All tensors are F32 but the histogram, which is I32. */
export interface LayerStatistics {
  /** The module whose tensors these are: another one where the layer shares its input. */
  name: string;
  /** C, columns of the layer; absent where nothing was recorded by column. */
  columns: number | undefined;
  /** r, columns of the sketch; absent where there is none. */
  rank: number | undefined;
  /** Segments of the sketch, or of the squares where there is none: from 1 to T. */
  segments: number;
  /** Mean of x_c^2: [C], [S, C] or [T, C]. */
  square: TensorInfo | undefined;
  /** K with K K^T + diag(D) ~ the mean of x x^T: [C, r] or [S, C, r]. */
  sketch: TensorInfo | undefined;
  /** Least input: [T]. */
  min: TensorInfo | undefined;
  /** Largest input: [T]. */
  max: TensorInfo | undefined;
  /** Inputs by value, in bins of equal width over all that occur: [T, bins]. */
  histogram: TensorInfo | undefined;
}

/** The metadata entry `format` of every calibration file. */
export const FORMAT = "isotherm-calibration";

/** What a tensor's name ends in, by what it is. */
export const SUFFIXES = {
  min: ".input_min",
  max: ".input_max",
  histogram: ".input_histogram",
  square: ".input_square",
  sketch: ".input_sketch",
} as const;

/** What is recorded of a layer. */
export type StatisticKind = keyof typeof SUFFIXES;

/** What is recorded of a layer, in the order in which it is checked. */
export const STATISTIC_KINDS: readonly StatisticKind[] = [
  "min",
  "max",
  "histogram",
  "square",
  "sketch",
];

/** Most timesteps: training has 1000, and their values are held in memory. */
export const MAX_TIMESTEPS = 65536;

/** Most columns of a layer: models have less than 100 000, and sums over the rows of each are held. */
export const MAX_COLUMNS = 2 ** 20;

/** Most bins of a histogram: one row of it is held. */
export const MAX_BINS = 65536;

/** Most values of a sketch, which is held in F64: enough for all of H of 23 000 columns. */
export const MAX_SKETCH = 2 ** 29;

/**
 * Largest matrix whose eigenvectors are sought to join the sketches of several segments; they take six
 * seconds at this size.
 */
export const MAX_JOINED = 1024;

/** The first timestep of segment s of S, and the one behind its last: [floor(s T / S), floor((s+1) T / S)). */
export function segmentRange(
  s: number,
  segments: number,
  timesteps: number,
): { from: number; to: number } {
  return {
    from: Math.floor(s * timesteps / segments),
    to: Math.floor((s + 1) * timesteps / segments),
  };
}

/** Rows of the squares of a layer: 1 where they have one dimension. */
export function countSquares({ shape }: TensorInfo): number {
  return shape.length === 1 ? 1 : shape[0]!;
}

/** The sum of the weights of timesteps `from` to `to` (exclusive); each is 1 where there are none. */
export function sumWeights(
  weights: readonly number[] | undefined,
  from: number,
  to: number,
): number {
  if (weights === undefined) return to - from;
  let sum = 0;
  for (let t = from; t < to; t++) sum += weights[t]!;
  return sum;
}

/** The mean of a vector. */
export function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
