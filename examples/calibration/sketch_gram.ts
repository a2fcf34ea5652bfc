/** A Gram matrix as the columns that say most of it. */

import { decomposeSymmetric } from "../../lib/calibration/eigen.ts";

/**
 * The leading eigenvectors of H times the roots of their eigenvalues: of all K of as many columns the
 * one for which K K^T is nearest to H. Of all of them K K^T = H.
 *
 * @param gram H: [columns, columns], symmetric; it is overwritten.
 * @param rank r, at most `columns`.
 * @returns K: [columns, r].
 */
export function sketchGram(gram: Float64Array, columns: number, rank: number): Float32Array {
  const { values, vectors } = decomposeSymmetric(gram, columns);
  const sketch = new Float32Array(columns * rank);
  for (let k = 0; k < rank; k++) {
    // Rounding leaves those that are 0 a little below it.
    const root = Math.sqrt(Math.max(0, values[k]!));
    for (let c = 0; c < columns; c++) sketch[c * rank + k] = root * vectors[k * columns + c]!;
  }
  return sketch;
}
