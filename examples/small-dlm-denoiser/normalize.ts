/** Root mean square normalization (Zhang & Sennrich 2019, arXiv:1910.07467). */

import { DLM } from "./dimensions.ts";

/**
 * Divides each row by its root mean square and scales its features.
 *
 * @param x [rows or more, 256].
 * @param scales [256].
 * @param out Receives as many rows.
 */
export function normalize(
  x: Float32Array,
  scales: Float32Array,
  out: Float32Array,
  rows: number,
): void {
  const { hidden, epsilon } = DLM;
  for (let from = 0; from < rows * hidden; from += hidden) {
    let sum = 0;
    for (let i = from; i < from + hidden; i++) sum += x[i]! * x[i]!;
    const factor = 1 / Math.sqrt(sum / hidden + epsilon);
    for (let i = 0; i < hidden; i++) out[from + i] = x[from + i]! * factor * scales[i]!;
  }
}
