/** Adaptive layer norm (adaLN-zero): the condition of an image shifts, scales and gates its tokens. */

import { DIT } from "./dimensions.ts";
import type { Conditions } from "./embed_conditions.ts";
import { applyLinear, type Linear } from "../forward/linear.ts";

/** Keeps the variance of a constant token above 0. */
const EPSILON = 1e-6;

/** What a layer makes of the conditions. */
export interface Modulation {
  /** [conditions, width]: chunks of 128, each a shift, a scale or a gate. */
  values: Float32Array;
  /** Elements from one condition to the next. */
  width: number;
  /** The condition of each image: [images]. */
  rows: readonly number[];
}

/** Applies a block's modulation layer, once for each condition. */
export function planModulation(
  layer: Linear,
  { values, count, rows }: Conditions,
  out: Float32Array,
): Modulation {
  applyLinear(layer, values, out, count);
  return { values: out, width: layer.outputs, rows };
}

/**
 * Normalizes each token without parameters, then h (1 + scale) + shift.
 *
 * @param tokens [images * 16, 128].
 * @param modulation Of the images.
 * @param chunk The chunk that holds the shift; the scale is the next one.
 * @param out [images * 16, 128].
 */
export function modulate(
  tokens: Float32Array,
  modulation: Modulation,
  chunk: number,
  out: Float32Array,
): void {
  const { hidden } = DIT;
  const { values, width, rows } = modulation;
  for (let start = 0; start < rows.length * DIT.tokens * hidden; start += hidden) {
    // Two sums of each kind, in double precision: additions of one sum have to wait for each other.
    let [sum, squares, oddSum, oddSquares] = [0, 0, 0, 0];
    for (let i = start; i < start + hidden; i += 2) {
      const x = tokens[i]!;
      const y = tokens[i + 1]!;
      sum += x;
      squares += x * x;
      oddSum += y;
      oddSquares += y * y;
    }
    const mean = (sum + oddSum) / hidden;
    const variance = (squares + oddSquares) / hidden - mean * mean;
    const inverse = 1 / Math.sqrt(variance + EPSILON);
    const image = Math.floor(start / (DIT.tokens * hidden));
    const shift = rows[image]! * width + chunk * hidden;
    for (let i = 0; i < hidden; i++) {
      const normal = (tokens[start + i]! - mean) * inverse;
      out[start + i] = normal * (1 + values[shift + hidden + i]!) + values[shift + i]!;
    }
  }
}

/**
 * Adds a branch's output, gated, to the tokens: tokens += gate * branch.
 *
 * @param tokens [images * 16, 128]; written over.
 * @param modulation Of the images.
 * @param chunk The chunk that holds the gate.
 * @param branch [images * 16, 128].
 */
export function addGated(
  tokens: Float32Array,
  modulation: Modulation,
  chunk: number,
  branch: Float32Array,
): void {
  const { hidden } = DIT;
  const { values, width, rows } = modulation;
  for (let start = 0; start < rows.length * DIT.tokens * hidden; start += hidden) {
    const image = Math.floor(start / (DIT.tokens * hidden));
    const gate = rows[image]! * width + chunk * hidden;
    for (let i = 0; i < hidden; i++) {
      tokens[start + i] = tokens[start + i]! + values[gate + i]! * branch[start + i]!;
    }
  }
}
