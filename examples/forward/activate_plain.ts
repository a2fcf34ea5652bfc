/** The dull reference of `assembly/activate.ts`: plain loops that round to F32 where it does. */

const { fround } = Math;

/** ln 2 in two parts, the first of which times a whole number is exact. */
const LN2 = [0.693359375, fround(-2.12194440e-4)] as const;

/** What is left of a series for e^x, from the highest power to the second. */
const SERIES = Float32Array.of(
  1.9875691500e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
);

/**
 * e^x in F32, within 2e-7, relatively (Moshier, Cephes); beyond -87 and 88 that of -87 and 88.
 *
 * @param x An F32 value.
 */
export function exponentialF32(x: number): number {
  const inside = x < -87 ? -87 : x > 88 ? 88 : x;
  // Adding 1.5 * 2^23 rounds to whole numbers, ties to even.
  const shift = 12582912;
  const whole = fround(fround(fround(inside * fround(1.44269504)) + shift) - shift);
  let rest = fround(inside - fround(whole * LN2[0]));
  rest = fround(rest - fround(whole * LN2[1]));
  let series = SERIES[0]!;
  for (const term of SERIES.subarray(1)) series = fround(fround(series * rest) + term);
  const square = fround(rest * rest);
  series = fround(fround(fround(fround(series * square) + rest)) + 1);
  return fround(series * 2 ** (whole | 0));
}

/**
 * Softmax of a run of scores, in place, summed in four lanes.
 *
 * @param start Index of the first one.
 * @param count How many, a multiple of 4.
 */
export function softmaxF32(x: Float32Array, start: number, count: number): void {
  let max = -Infinity;
  for (let i = start; i < start + count; i++) if (max < x[i]!) max = x[i]!;
  const sums = new Float32Array(4);
  for (let i = 0; i < count; i++) {
    const power = exponentialF32(fround(x[start + i]! - max));
    x[start + i] = power;
    sums[i % 4] = sums[i % 4]! + power;
  }
  const factor = fround(1 / fround(fround(sums[0]! + sums[2]!) + fround(sums[1]! + sums[3]!)));
  for (let i = start; i < start + count; i++) x[i] = x[i]! * factor;
}

/** gate = silu(gate) * up, silu(x) = x / (1 + e^-x). */
export function gateSiluF32(gate: Float32Array, up: Float32Array): void {
  for (let i = 0; i < gate.length; i++) {
    const x = gate[i]!;
    gate[i] = fround(x / fround(1 + exponentialF32(-x))) * up[i]!;
  }
}

/** x = gelu(x) in its tanh form, which is x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
export function geluF32(x: Float32Array): void {
  for (let i = 0; i < x.length; i++) {
    // Below -8 it is 0 to F32 precision, and stays what it is at -8.
    const inside = x[i]! < -8 ? -8 : x[i]!;
    const cubic = fround(fround(fround(inside * inside) * fround(0.044715)) + 1);
    const doubled = fround(fround(inside * cubic) * fround(-1.5957691216));
    x[i] = inside / fround(1 + exponentialF32(doubled));
  }
}
