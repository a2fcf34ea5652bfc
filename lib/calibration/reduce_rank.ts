/** Brings a sketch of many columns back to few: the exact best one, by the smaller of its two Gram matrices. */

import { decomposeSymmetric } from "./eigen.ts";

/**
 * The sketch of the given rank that is nearest to K K^T: its leading eigenvectors times the roots of
 * their eigenvalues. These are the columns of K V, V the leading eigenvectors of K^T K; where K has more
 * columns than rows they come from K K^T itself.
 *
 * @param wide [columns, width] K, row by row; K K^T is a matrix of layer inputs, [columns, columns].
 * @param rank At most `width` and `columns`.
 * @returns [columns, rank], row by row; columns of falling length.
 */
export function reduceRank(
  wide: Float64Array,
  columns: number,
  width: number,
  rank: number,
): Float64Array {
  const reduced = new Float64Array(columns * rank);
  if (width <= columns) {
    const { vectors } = decomposeSymmetric(gramOf(wide, columns, width), width);
    for (let c = 0; c < columns; c++) {
      for (let k = 0; k < rank; k++) {
        reduced[c * rank + k] = dot(wide, c * width, vectors, k * width, width);
      }
    }
    return reduced;
  }
  const turned = new Float64Array(wide.length);
  for (let c = 0; c < columns; c++) {
    for (let k = 0; k < width; k++) turned[k * columns + c] = wide[c * width + k]!;
  }
  const { values, vectors } = decomposeSymmetric(gramOf(turned, width, columns), columns);
  for (let k = 0; k < rank; k++) {
    // Eigenvalues that are 0 may come out a little below it.
    const root = Math.sqrt(Math.max(0, values[k]!));
    for (let c = 0; c < columns; c++) reduced[c * rank + k] = vectors[k * columns + c]! * root;
  }
  return reduced;
}

/** K^T K: [width, width]. Four rows at a time, since the sums are far larger than a row. */
function gramOf(wide: Float64Array, columns: number, width: number): Float64Array {
  const gram = new Float64Array(width * width);
  const whole = columns - columns % 4;
  for (let c = 0; c < whole; c += 4) {
    const r0 = c * width;
    const r1 = r0 + width;
    const r2 = r1 + width;
    const r3 = r2 + width;
    for (let i = 0; i < width; i++) {
      const [a, b] = [wide[r0 + i]!, wide[r1 + i]!];
      const [d, e] = [wide[r2 + i]!, wide[r3 + i]!];
      for (let j = i; j < width; j++) {
        gram[i * width + j] = gram[i * width + j]! + a * wide[r0 + j]! + b * wide[r1 + j]! +
          d * wide[r2 + j]! + e * wide[r3 + j]!;
      }
    }
  }
  for (let at = whole * width; at < columns * width; at += width) {
    for (let i = 0; i < width; i++) {
      const a = wide[at + i]!;
      for (let j = i; j < width; j++) {
        gram[i * width + j] = gram[i * width + j]! + a * wide[at + j]!;
      }
    }
  }
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) gram[i * width + j] = gram[j * width + i]!;
  }
  return gram;
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[i + k]! * b[j + k]!;
  return sum;
}
