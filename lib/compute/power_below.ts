/** Powers of 2 that bring numbers near 1, so that their products with squares of weights stay within F32. */

/** The largest power of 2 that is not above the largest magnitude; 1 where all are 0. */
export function powerBelow(values: Float32Array): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest > 0 ? 2 ** Math.floor(Math.log2(largest)) : 1;
}
