/** What the weights of a block lose by one choice of parameters, measured on cells of its histogram. */

import { roundToDtype, scaleRange } from "../safetensors/dtype.ts";
import { qmaxOf, type Scheme } from "../types.ts";
import { type Cells, MAX_CELLS } from "./read_histogram.ts";

/** Least width of a cell, as a share of its values and of the scale of its block's own range. */
const LEAST_WIDTH = 1e-6;

/** The mean of x^2 over [a, b]. */
export function meanSquare(a: number, b: number): number {
  return (a * a + a * b + b * b) / 3;
}

/** Rates parameters of a block; numbers alone, since objects would be most of what rating takes. */
export interface Rater {
  /** The scale to be stored for codes made with a scale and a zero point; 0 where every weight would become 0. */
  scaleOf(code: number, zeroPoint: number): number;
  /** The sum of the errors' powers, in the rater's unit. */
  errorOf(code: number, scale: number, zeroPoint: number): number;
}

/** Cells as raters need them: made once, since a block of a few weights is rated in less time than they are. */
const room = {
  from: new Float64Array(MAX_CELLS),
  to: new Float64Array(MAX_CELLS),
  count: new Float64Array(MAX_CELLS),
  /** Weights in each cell by its width. */
  density: new Float64Array(MAX_CELLS),
  /** The sum of x over all cells before each one, and over all at the end. */
  firstMoment: new Float64Array(MAX_CELLS + 1),
};

/**
 * Makes a rater of cells; it is of use until the next one is made.
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
  const qmax = qmaxOf(bits);
  // What closures keep has to be constant: a number that changes there is an object for each change.
  const { signal, rest, used, isAscending } = layOutCells(cells, norm, least, unit);
  addUpFirstMoments(used);
  // Of few steps the cells between two of them are leapt over.
  const leaps = isAscending && (qmax + 1) * Math.log2(used) < used;
  return {
    scaleOf(code, zeroPoint) {
      const product = sumProducts(used, code / unit, -zeroPoint, qmax - zeroPoint, leaps);
      if (!(product > 0)) return 0;
      return Math.min(Math.max(roundToDtype(code * signal / product, scaleDtype), min), max);
    },
    errorOf(code, scale, zeroPoint) {
      const highest = qmax - zeroPoint;
      const sum = sumErrors(used, code / unit, -zeroPoint, highest, scale / unit, norm);
      return (rest + sum) / (norm + 1);
    },
  };
}

/** Lays out the cells that matter in the room: how many there are, and whether they end in ascending order. */
function layOutCells(cells: Cells, norm: number, least: number, unit: number) {
  const { from, to, count, density } = room;
  let [signal, rest, used] = [0, 0, 0];
  let isAscending = true;
  for (let i = 0; i < cells.count.length; i++) {
    let a = cells.from[i]! / unit;
    let b = cells.to[i]! / unit;
    const weights = cells.count[i]!;
    // None so narrow that a difference of two integrals would be lost.
    const missing = Math.max(0, LEAST_WIDTH * Math.max(-a, b, 1) - (b - a)) / 2;
    a -= missing;
    b += missing;
    const own = weights / (b - a);
    signal += weights * meanSquare(a, b);
    // What no candidate tells from 0 is the same for all.
    if (Math.max(-a, b) < least / unit / 2) {
      rest += own * (integral(b, norm) - integral(a, norm));
      continue;
    }
    if (used > 0 && b < to[used - 1]!) isAscending = false;
    from[used] = a;
    to[used] = b;
    count[used] = weights;
    density[used++] = own;
  }
  return { signal, rest, used, isAscending };
}

function addUpFirstMoments(cells: number): void {
  const { from, to, count, firstMoment } = room;
  for (let i = 0; i < cells; i++) {
    firstMoment[i + 1] = firstMoment[i]! + count[i]! * (from[i]! + to[i]!) / 2;
  }
}

/**
 * The sum of x v, v = step * code: each step's share is the sum of x between two halfway points. Weights become
 * codes in steps of `code` from the zero point, from `lowest` to `highest`.
 *
 * @param leaps Whether the cell of each halfway point is searched by halves; cells end in ascending order then.
 */
function sumProducts(
  cells: number,
  code: number,
  lowest: number,
  highest: number,
  leaps: boolean,
): number {
  const { from, to, count, firstMoment } = room;
  let sum = 0;
  let before = 0;
  let cell = 0;
  for (let step = lowest; step <= highest; step++) {
    const edge = step === highest ? Infinity : (step + 0.5) * code;
    if (leaps) cell = findBeyond(edge, cell, cells);
    else while (cell < cells && to[cell]! <= edge) cell++;
    let moment = firstMoment[cell]!;
    if (cell < cells && from[cell]! < edge) {
      const a = from[cell]!;
      moment += count[cell]! * (edge - a) / (to[cell]! - a) * (a + edge) / 2;
    }
    sum += step * code * (moment - before);
    before = moment;
  }
  return sum;
}

/** The first of the cells [from, to) that ends beyond an edge, or `to`; they end in ascending order. */
function findBeyond(edge: number, from: number, to: number): number {
  let [first, last] = [from, to];
  while (first < last) {
    const middle = (first + last) >>> 1;
    if (room.to[middle]! <= edge) first = middle + 1;
    else last = middle;
  }
  return first;
}

/**
 * (norm + 1) times the sum of |x - v|^norm, v = step * scale: a cell that several steps share is cut at
 * the halfway points. Weights become codes as in {@linkcode sumProducts}.
 */
function sumErrors(
  cells: number,
  code: number,
  lowest: number,
  highest: number,
  scale: number,
  norm: number,
): number {
  const { from, to, density } = room;
  let total = 0;
  let step = lowest;
  let edge = (step + 0.5) * code;
  for (let i = 0; i < cells; i++) {
    let a = from[i]!;
    const b = to[i]!;
    const own = density[i]!;
    while (step < highest && edge <= a) edge = (++step + 0.5) * code;
    while (step < highest && edge < b) {
      total += own * (integral(edge - step * scale, norm) - integral(a - step * scale, norm));
      a = edge;
      edge = (++step + 0.5) * code;
    }
    total += own * (integral(b - step * scale, norm) - integral(a - step * scale, norm));
  }
  return total;
}

/** The antiderivative of (norm + 1) |x|^norm: x |x|^norm. */
function integral(x: number, norm: number): number {
  const square = x * x;
  if (norm === 3) return x * Math.abs(x) * square;
  const fourth = square * square;
  return norm === 4 ? fourth * x : fourth * fourth * x;
}
