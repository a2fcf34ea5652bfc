/** What the weights of a block lose by one choice of parameters, measured on cells of its histogram. */

import { roundToDtype, scaleRange } from "../safetensors/dtype.ts";
import { qmaxOf, type Scheme } from "../types.ts";
import type { Cells } from "./read_histogram.ts";

/** Least width of a cell, as a share of its values and of the scale of its block's own range. */
const LEAST_WIDTH = 1e-6;

/** Parameters and their cost. */
export interface Candidate {
  /** Scale that makes the codes. */
  code: number;
  /** Scale to be stored. */
  scale: number;
  /** 0 to qmax. */
  zeroPoint: number;
  /** Sum of the errors' powers, in the rater's unit. */
  error: number;
}

/** The mean of x^2 over [a, b]. */
export function meanSquare(a: number, b: number): number {
  return (a * a + a * b + b * b) / 3;
}

/** Rates a scale of the codes and a zero point; `undefined` where every weight would become 0. */
export type Rater = (code: number, zeroPoint: number, stored?: number) => Candidate | undefined;

/**
 * Makes a rater of cells.
 *
 * @param scheme Width of a code, and the dtype of the scales that are stored.
 * @param limits.norm The error is the mean of |x - v| to this power.
 * @param limits.least No scale will be smaller.
 * @param limits.unit Computes in this unit, so that no power over- or underflows.
 */
export function createRater(
  cells: Cells,
  { bits, scaleDtype }: Pick<Scheme, "bits" | "scaleDtype">,
  { norm, least, unit }: { norm: 3 | 4 | 8; least: number; unit: number },
): Rater {
  const { min, max } = scaleRange(scaleDtype);
  const { from, to, count } = widen(cells, unit);
  const densities = new Float64Array(count.length);
  let [signal, rest, used] = [0, 0, 0];
  for (let i = 0; i < count.length; i++) {
    const [a, b, weights] = [from[i]!, to[i]!, count[i]!];
    const density = weights / (b - a);
    signal += weights * meanSquare(a, b);
    // What no candidate tells from 0 is the same for all.
    if (Math.max(-a, b) < least / unit / 2) {
      rest += density * (integral(b, norm) - integral(a, norm));
      continue;
    }
    [from[used], to[used], count[used], densities[used]] = [a, b, weights, density];
    used++;
  }
  const large: Cells = {
    from: from.subarray(0, used),
    to: to.subarray(0, used),
    count: count.subarray(0, used),
  };
  const firstMoments = addUpFirstMoments(large);
  return (code, zeroPoint, stored) => {
    const steps: Steps = {
      code: code / unit,
      lowest: -zeroPoint,
      highest: qmaxOf(bits) - zeroPoint,
    };
    let scale = stored;
    if (scale === undefined) {
      const product = sumProducts(large, firstMoments, steps);
      if (!(product > 0)) return undefined;
      scale = Math.min(Math.max(roundToDtype(code * signal / product, scaleDtype), min), max);
    }
    const error = (rest + sumErrors(large, densities, steps, scale / unit, norm)) / (norm + 1);
    return { code, scale, zeroPoint, error };
  };
}

/** How weights become codes: steps of `code` from the zero point, from `lowest` to `highest`. */
interface Steps {
  code: number;
  lowest: number;
  highest: number;
}

/** The sum of x over all cells before each one, and over all at the end: [N+1]. */
function addUpFirstMoments({ from, to, count }: Cells): Float64Array {
  const sums = new Float64Array(count.length + 1);
  for (let i = 0; i < count.length; i++) {
    sums[i + 1] = sums[i]! + count[i]! * (from[i]! + to[i]!) / 2;
  }
  return sums;
}

/** The sum of x v, v = step * code: each step's share is the sum of x between two halfway points. */
function sumProducts(cells: Cells, firstMoments: Float64Array, steps: Steps): number {
  const { from, to, count } = cells;
  const { code, lowest, highest } = steps;
  let [sum, before, cell] = [0, 0, 0];
  for (let step = lowest; step <= highest; step++) {
    const edge = step === highest ? Infinity : (step + 0.5) * code;
    while (cell < count.length && to[cell]! <= edge) cell++;
    let moment = firstMoments[cell]!;
    if (cell < count.length && from[cell]! < edge) {
      const [a, b] = [from[cell]!, to[cell]!];
      moment += count[cell]! * (edge - a) / (b - a) * (a + edge) / 2;
    }
    sum += step * code * (moment - before);
    before = moment;
  }
  return sum;
}

/**
 * (norm + 1) times the sum of |x - v|^norm, v = step * scale: a cell that several steps share is cut at
 * the halfway points.
 *
 * @param densities Weights in each cell by its width.
 */
function sumErrors(
  { from, to }: Cells,
  densities: Float64Array,
  { code, lowest, highest }: Steps,
  scale: number,
  norm: number,
): number {
  let total = 0;
  let step = lowest;
  let edge = (step + 0.5) * code;
  for (let i = 0; i < from.length; i++) {
    let a = from[i]!;
    const b = to[i]!;
    const density = densities[i]!;
    while (step < highest && edge <= a) edge = (++step + 0.5) * code;
    while (step < highest && edge < b) {
      total += density * (integral(edge - step * scale, norm) - integral(a - step * scale, norm));
      a = edge;
      edge = (++step + 0.5) * code;
    }
    total += density * (integral(b - step * scale, norm) - integral(a - step * scale, norm));
  }
  return total;
}

/** New cells in another unit, none so narrow that a difference of two integrals would be lost. */
function widen({ from, to, count }: Cells, unit: number): Cells {
  const wide = {
    from: new Float64Array(count.length),
    to: new Float64Array(count.length),
    count: count.slice(),
  };
  for (let i = 0; i < count.length; i++) {
    const [a, b] = [from[i]! / unit, to[i]! / unit];
    const missing = Math.max(0, LEAST_WIDTH * Math.max(-a, b, 1) - (b - a)) / 2;
    wide.from[i] = a - missing;
    wide.to[i] = b + missing;
  }
  return wide;
}

/** The antiderivative of (norm + 1) |x|^norm: x |x|^norm. */
function integral(x: number, norm: number): number {
  const square = x * x;
  if (norm === 3) return x * Math.abs(x) * square;
  const fourth = square * square;
  return norm === 4 ? fourth * x : fourth * fourth * x;
}
