/**
 * What a block's weights lose by each of the parameters that phase optimize may give it. The loss is
 * measured on the values it has, so its cost does not grow with the number of weights.
 */

import { estimateScheme, roundHalfEven } from "./estimate_params.ts";
import type { CandidateList } from "./optimize_path.ts";
import { type Cells, gatherCells, type UsedBins } from "./read_histogram.ts";
import { type Candidate, createRater, meanSquare } from "./rate_candidate.ts";
import type { FloatDtype } from "../safetensors/dtype.ts";
import { type Bits, qmaxOf, type Scheme } from "../types.ts";

/** The range of a block. */
export interface BlockRange {
  /** min(0, smallest value). */
  lo: number;
  /** max(0, largest value). */
  hi: number;
}

/** Candidates for a block's parameters and what each costs: [K] each, the parameters of its own range last. */
export interface BlockCandidates extends CandidateList {
  /** Scales that make the codes; those to be stored are exact in the dtype they are stored in. */
  code_scale: ArrayLike<number>;
}

/** Candidates of which each error is relative to the least one, as a power: 1 and more. */
export type BlockRating = Record<keyof BlockCandidates, number[]>;

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

/** Zero points tried for a scale, at most: the first and the last that make sense, and some between them. */
const ZERO_POINTS = 5;

/**
 * Rates candidates for a block.
 *
 * The scales lie on one grid, the same for all blocks, so that neighbouring time groups can agree. Of
 * each the codes are made with it, and what is stored is that scale times sum x^2 / sum x v: clipping
 * then does not shrink the layer's output. The error is that of the stored scale.
 *
 * @param bins Of its weights, all finite.
 * @param range Of the block; not [0, 0].
 * @param dtype Of the weights.
 * @param scheme What the parameters may be.
 */
export function rateBlock(
  bins: UsedBins,
  range: BlockRange,
  dtype: FloatDtype,
  scheme: Scheme,
): BlockRating {
  const { bits, symmetric } = scheme;
  const own = estimateScheme(range.lo, range.hi, scheme);
  const cells = gatherCells(bins, dtype, range);
  const sensible = NORMAL_STEP[bits] * rootMeanSquare(cells) / 2;
  // No smaller than kernels take: its inverse has to be finite.
  const least = Math.max(LEAST_SCALE, Math.min(own.scale, sensible));
  const rater = createRater(cells, scheme, { norm: NORM[bits], least, unit: own.scale });
  const tried: Candidate[] = [];
  const tryAll = (perOctave: number, from: number, to: number, near?: Candidate) => {
    const known = tried.length;
    const last = Math.floor(Math.log2(to) * perOctave);
    for (let step = Math.ceil(Math.log2(from) * perOctave); step <= last; step++) {
      const code = Math.fround(2 ** (step / perOctave));
      const [low, high] = symmetric
        ? [own.zero_point, own.zero_point]
        : near === undefined
        ? zeroPointsOf(range, code, bits)
        : zeroPointsNear(near, bits);
      const choices = Math.min(high - low + 1, ZERO_POINTS);
      for (let i = 0; i < choices; i++) {
        const share = choices === 1 ? 0 : (high - low) * i / (choices - 1);
        const zeroPoint = low + Math.round(share);
        if (isAmong(tried, known, code, zeroPoint)) continue;
        const candidate = rater(code, zeroPoint);
        if (candidate !== undefined) tried.push(candidate);
      }
    }
  };
  const most = own.scale * MOST;
  tryAll(STEPS.coarse, least, most);
  // At 8 bits, scales closer together differ by less than a choice has to gain.
  if (tried.length > 0 && bits < 8) {
    const best = tried.reduce((a, b) => b.error < a.error ? b : a);
    const [from, to] = [best.code * 2 ** -REACH, best.code * 2 ** REACH];
    tryAll(STEPS.fine, Math.max(least, from), Math.min(most, to), best);
  }
  tried.push(rater(own.scale, own.zero_point, own.scale)!);
  return listRatings(tried, NORM[bits]);
}

/** Whether one of the first candidates has these parameters. */
function isAmong(
  candidates: readonly Candidate[],
  count: number,
  code: number,
  zeroPoint: number,
): boolean {
  for (let i = 0; i < count; i++) {
    const other = candidates[i]!;
    if (other.code === code && other.zeroPoint === zeroPoint) return true;
  }
  return false;
}

/** As columns, errors as powers relative to the least. */
function listRatings(candidates: readonly Candidate[], norm: number): BlockRating {
  const ratings: BlockRating = { code_scale: [], scale: [], zero_point: [], error: [] };
  let least = Infinity;
  for (const { error } of candidates) least = Math.min(least, error);
  for (const { code, scale, zeroPoint, error } of candidates) {
    ratings.code_scale.push(code);
    ratings.scale.push(scale);
    ratings.zero_point.push(zeroPoint);
    ratings.error.push(error === least ? 1 : (error / least) ** (2 / norm));
  }
  return ratings;
}

/** Zero points worth a try: from the one that keeps the smallest value to the one that keeps the largest. */
function zeroPointsOf({ lo, hi }: BlockRange, code: number, bits: Bits): [number, number] {
  const qmax = qmaxOf(bits);
  const clamp = (value: number) => Math.min(Math.max(roundHalfEven(value), 0), qmax);
  const [a, b] = [clamp(-lo / code), clamp(qmax - hi / code)];
  return [Math.max(0, Math.min(a, b) - 1), Math.min(qmax, Math.max(a, b) + 1)];
}

/** A zero point and its neighbours. */
function zeroPointsNear({ zeroPoint }: Candidate, bits: Bits): [number, number] {
  return [Math.max(0, zeroPoint - 1), Math.min(qmaxOf(bits), zeroPoint + 1)];
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
