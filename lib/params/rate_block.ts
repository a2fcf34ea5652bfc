/**
 * What a block's weights lose by each of the parameters that phase optimize may give it. The loss is
 * measured on the block's histogram, so its cost does not grow with the number of weights.
 */

import { estimateScheme, roundHalfEven } from "./estimate_params.ts";
import { type Cells, gatherCells } from "./read_histogram.ts";
import { type FloatDtype, roundToDtype, scaleRange } from "../safetensors/dtype.ts";
import { type Bits, qmaxOf, type Scheme } from "../types.ts";

/** The range of a block. */
export interface BlockRange {
  /** min(0, smallest value). */
  lo: number;
  /** max(0, largest value). */
  hi: number;
}

/** Candidates for a block's parameters and what each costs: [K] each, the parameters of its own range last. */
export interface BlockRating {
  /** Scales that make the codes. */
  code_scale: Float32Array;
  /** Scales to be stored, exact in the dtype they are stored in. */
  scale: Float32Array;
  /** 0 to qmax. */
  zero_point: Uint8Array;
  /** Error relative to the least that a candidate has, as a power: 1 and more. */
  error: Float64Array;
}

/**
 * The norm of the error at each width: mean |x - v|^p. A squared error clips large weights, which
 * matter more to a model than their number says; the finer the codes, the less clipping is worth.
 * A range is usually searched by squared error (Nagel et al., "A White Paper on Neural Network
 * Quantization", 2021, section 3.1).
 */
export const NORM: Record<Bits, 3 | 4 | 8> = { 2: 3, 4: 4, 8: 8 };

/**
 * The step of a uniform quantizer with the least squared error on a normal distribution of
 * variance 1 (Max, "Quantizing for Minimum Distortion", 1960, table II; 256 levels by the same
 * recursion): no sensible step is below half of it.
 */
const NORMAL_STEP: Record<Bits, number> = { 2: 0.9957, 4: 0.3352, 8: 0.0308 };

/** Scales tried in an octave, first over all that are sensible, then around the best of those. */
const STEPS = { coarse: 4, fine: 16 } as const;

/** How far the scales of the second round go beyond the best of the first, in octaves. */
const REACH = 0.25;

/** A scale may be larger than that of the range, if the neighbours' are: up to this factor. */
const MOST = 1.2;

/** The least normal F32: scales that make codes are no smaller. */
const LEAST_SCALE = 2 ** -126;

/** Least width of a cell, as a share of its values and of the scale of its block's own range. */
const LEAST_WIDTH = 1e-6;

/** Zero points tried for a scale. */
const ZERO_POINTS = 5;

/** Parameters and their cost. */
interface Candidate {
  code: number;
  scale: number;
  zeroPoint: number;
  error: number;
}

/**
 * Rates candidates for a block.
 *
 * The scales lie on one grid, the same for all blocks, so that neighbouring time groups can agree. Of
 * each the codes are made with it, and what is stored is that scale times sum x^2 / sum x v: clipping
 * then does not shrink the layer's output. The error is that of the stored scale.
 *
 * @param counts [BINS] weights by the upper 16 bits of their representation, all finite.
 * @param range Of the block; not [0, 0].
 * @param dtype Of the weights.
 * @param scheme What the parameters may be.
 */
export function rateBlock(
  counts: Uint32Array,
  range: BlockRange,
  dtype: FloatDtype,
  scheme: Scheme,
): BlockRating {
  const { bits, scaleDtype, symmetric } = scheme;
  const own = estimateScheme(range.lo, range.hi, scheme);
  const cells = gatherCells(counts, dtype, range);
  const sensible = NORMAL_STEP[bits] * rootMeanSquare(cells) / 2;
  // No smaller than kernels take: its inverse has to be finite.
  const least = Math.max(LEAST_SCALE, Math.min(own.scale, sensible));
  const rater = createRater(cells, bits, scaleDtype, { least, unit: own.scale });
  const tried = new Map<number, Candidate>();
  const choices = (code: number, near: Candidate | undefined): number[] =>
    symmetric
      ? [own.zero_point]
      : near
      ? zeroPointsNear(near, bits)
      : zeroPoints(range, code, bits);
  const tryAll = (perOctave: number, from: number, to: number, near?: Candidate) => {
    const last = Math.floor(Math.log2(to) * perOctave);
    for (let step = Math.ceil(Math.log2(from) * perOctave); step <= last; step++) {
      const fineStep = step * STEPS.fine / perOctave;
      const code = Math.fround(2 ** (fineStep / STEPS.fine));
      for (const zeroPoint of choices(code, near)) {
        const key = fineStep * 256 + zeroPoint;
        if (tried.has(key)) continue;
        const candidate = rater(code, zeroPoint);
        if (candidate !== undefined) tried.set(key, candidate);
      }
    }
  };
  const most = own.scale * MOST;
  tryAll(STEPS.coarse, least, most);
  const best = [...tried.values()].reduce<Candidate | undefined>(
    (a, b) => a === undefined || b.error < a.error ? b : a,
    undefined,
  );
  // At 8 bits, scales closer together differ by less than a choice has to gain.
  if (best !== undefined && bits < 8) {
    const [from, to] = [best.code * 2 ** -REACH, best.code * 2 ** REACH];
    tryAll(STEPS.fine, Math.max(least, from), Math.min(most, to), best);
  }
  const ownRating = rater(own.scale, own.zero_point, own.scale)!;
  return listRatings([...tried.values(), ownRating], NORM[bits]);
}

/** As columns, errors as powers relative to the least. */
function listRatings(candidates: readonly Candidate[], norm: number): BlockRating {
  const least = candidates.reduce((error, candidate) => Math.min(error, candidate.error), Infinity);
  return {
    code_scale: Float32Array.from(candidates, ({ code }) => code),
    scale: Float32Array.from(candidates, ({ scale }) => scale),
    zero_point: Uint8Array.from(candidates, ({ zeroPoint }) => zeroPoint),
    error: Float64Array.from(
      candidates,
      ({ error }) => error === least ? 1 : (error / least) ** (2 / norm),
    ),
  };
}

/** Zero points worth a try: from the one that keeps the smallest value to the one that keeps the largest. */
function zeroPoints({ lo, hi }: BlockRange, code: number, bits: Bits): number[] {
  const qmax = qmaxOf(bits);
  const clamp = (value: number) => Math.min(Math.max(roundHalfEven(value), 0), qmax);
  const ends = [clamp(-lo / code), clamp(qmax - hi / code)];
  return spread(Math.max(0, Math.min(...ends) - 1), Math.min(qmax, Math.max(...ends) + 1));
}

/** A zero point and its neighbours. */
function zeroPointsNear({ zeroPoint }: Candidate, bits: Bits): number[] {
  return spread(Math.max(0, zeroPoint - 1), Math.min(qmaxOf(bits), zeroPoint + 1));
}

/** Up to {@linkcode ZERO_POINTS} integers from one to another, both included. */
function spread(from: number, to: number): number[] {
  const count = Math.min(to - from + 1, ZERO_POINTS);
  return Array.from(
    { length: count },
    (_, i) => from + Math.round(count === 1 ? 0 : (to - from) * i / (count - 1)),
  );
}

/** Of what is not negligible: zeros and the like need no step of their own. */
function rootMeanSquare({ from, to, count }: Cells): number {
  let [sum, weights] = [0, 0];
  for (let i = 0; i < count.length; i++) {
    sum += count[i]! * meanSquare(from[i]!, to[i]!);
    weights += count[i]!;
  }
  return Math.sqrt(sum / weights);
}

/** The mean of x^2 over [a, b]. */
function meanSquare(a: number, b: number): number {
  return (a * a + a * b + b * b) / 3;
}

/** Rates a scale of the codes and a zero point; `undefined` where every weight would become 0. */
type Rater = (code: number, zeroPoint: number, stored?: number) => Candidate | undefined;

/**
 * Makes a rater of cells.
 *
 * @param limits.least No scale will be smaller.
 * @param limits.unit Computes in this unit, so that no power over- or underflows.
 */
function createRater(
  cells: Cells,
  bits: Bits,
  scaleDtype: FloatDtype,
  { least, unit }: { least: number; unit: number },
): Rater {
  const norm = NORM[bits];
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
