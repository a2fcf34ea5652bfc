/** Error compensation by its definition, in F64 with whole matrices: what the kernels are held against. */

import { noise } from "./make_model.ts";
import type { InputMoments } from "../lib/params/plan_compensation.ts";

/** A square matrix, row by row. */
export type Matrix = Float64Array[];

/** Made-up second moments of a layer's inputs; those of some features are much larger than others'. */
export function makeMoments(columns: number, rank: number, seed: number): InputMoments {
  const [value, size] = [noise(seed), noise(seed + 1)];
  const sketch = Float64Array.from(
    { length: columns * rank },
    (_, i) => value(i) * 4 ** size(Math.floor(i / Math.max(1, rank))),
  );
  const diagonal = Float64Array.from(
    { length: columns },
    (_, j) => 0.3 + 0.25 * noise(seed + 2)(j),
  );
  const square = diagonal.map((own, j) => {
    const row = sketch.subarray(j * rank, (j + 1) * rank);
    return row.reduce((sum, x) => sum + x * x, own);
  });
  return { columns, rank, sketch, diagonal, square };
}

/** H = diag(D) + K K^T of some features, in that order. */
export function momentsOf({ rank, sketch, diagonal }: InputMoments, order: number[]): Matrix {
  return order.map((a) =>
    Float64Array.from(order, (b) => {
      let sum = a === b ? diagonal[a]! : 0;
      for (let k = 0; k < rank; k++) sum += sketch[a * rank + k]! * sketch[b * rank + k]!;
      return sum;
    })
  );
}

/** The inverse of a positive definite matrix, by Gauss and Jordan. */
export function invert(matrix: Matrix): Matrix {
  const n = matrix.length;
  const rows = matrix.map((row, i) => {
    const wide = new Float64Array(2 * n);
    wide.set(row);
    wide[n + i] = 1;
    return wide;
  });
  for (let i = 0; i < n; i++) {
    const pivot = rows[i]![i]!;
    rows[i] = rows[i]!.map((x) => x / pivot);
    for (let j = 0; j < n; j++) {
      const factor = rows[j]![i]!;
      if (j !== i) rows[j] = rows[j]!.map((x, k) => x - factor * rows[i]![k]!);
    }
  }
  return rows.map((row) => row.slice(n));
}

/** The upper triangle U with U^T U = a positive definite matrix. */
export function cholesky(matrix: Matrix): Matrix {
  const n = matrix.length;
  const upper: Matrix = matrix.map(() => new Float64Array(n));
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let sum = matrix[i]![j]!;
      for (let k = 0; k < i; k++) sum -= upper[k]![i]! * upper[k]![j]!;
      upper[i]![j] = i === j ? Math.sqrt(sum) : sum / upper[i]![i]!;
    }
  }
  return upper;
}

/** How a column of a row is quantized. */
export interface Step {
  scale: number;
  code_scale: number;
  zero_point: number;
  qmax: number;
}

/**
 * One row by GPTQ, as its authors write it: U is the Cholesky factor of the inverse of H; what a column's error
 * over U_jj comes to is taken from the columns behind it.
 *
 * @param order The column that comes p-th.
 * @param upper U in that order.
 * @returns Codes by column.
 */
export function quantizeByGptq(
  row: Float32Array,
  order: number[],
  upper: Matrix,
  stepOf: (column: number) => Step,
): Uint8Array {
  const left = Float64Array.from(order, (column) => row[column]!);
  const codes = new Uint8Array(row.length);
  for (const [p, column] of order.entries()) {
    const { scale, code_scale, zero_point, qmax } = stepOf(column);
    const steps = roundHalfEven(left[p]! / code_scale);
    codes[column] = Math.max(0, Math.min(qmax, steps + zero_point));
    const error = (left[p]! - (codes[column]! - zero_point) * scale) / upper[p]![p]!;
    for (let j = p; j < order.length; j++) left[j] = left[j]! - error * upper[p]![j]!;
  }
  return codes;
}

function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}
