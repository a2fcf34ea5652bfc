/** Elementwise functions where a model spends little time, or needs F64; they write over their argument. */

/** SiLU: x / (1 + e^-x). */
export function silu(x: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] = x[i]! / (1 + Math.exp(-x[i]!));
}

/**
 * Softmax of a run of scores.
 *
 * @param start Index of the first one.
 * @param count How many.
 */
export function softmax(x: Float32Array | Float64Array, start: number, count: number): void {
  let max = -Infinity;
  for (let i = start; i < start + count; i++) if (x[i]! > max) max = x[i]!;
  let sum = 0;
  for (let i = start; i < start + count; i++) {
    const power = Math.exp(x[i]! - max);
    x[i] = power;
    sum += power;
  }
  const factor = 1 / sum;
  for (let i = start; i < start + count; i++) x[i] = x[i]! * factor;
}
