/**
 * What a block's weights lose by each of the parameters that phase optimize may give it. The loss is
 * measured on the values it has, so its cost does not grow with the number of weights.
 */

import { clampCode, estimateScheme, zeroPointOf } from "./estimate_params.ts";
import { type CandidateList, indexOfLeast } from "./optimize_path.ts";
import { type Cells, gatherCells, type UsedBins } from "./read_histogram.ts";
import { createRater, meanSquare } from "./rate_candidate.ts";
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
  code_scale: Float32Array;
  scale: Float32Array;
  zero_point: Uint8Array;
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

/** Zero points tried for a scale, at most: the first and the last that make sense, and some between them. */
const ZERO_POINTS = 5;

/** Candidates of a block at most: scales that the kernels take lie within 256 octaves. */
const MOST_CANDIDATES = ZERO_POINTS * (256 * STEPS.coarse + (2 * REACH + 1) * STEPS.fine) + 1;

/** The candidates of the block that is being rated: lists of them would be most of what rating takes. */
const tried: BlockCandidates = {
  code_scale: new Float32Array(MOST_CANDIDATES),
  scale: new Float32Array(MOST_CANDIDATES),
  zero_point: new Uint8Array(MOST_CANDIDATES),
  error: new Float64Array(MOST_CANDIDATES),
};

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
 * @returns Each error is relative to the least one, as a power: 1 and more. Views of what the next block is rated in.
 */
export function rateBlock(
  bins: UsedBins,
  range: BlockRange,
  dtype: FloatDtype,
  scheme: Scheme,
): BlockCandidates {
  const { bits, symmetric } = scheme;
  const qmax = qmaxOf(bits);
  const own = estimateScheme(range.lo, range.hi, scheme);
  const cells = gatherCells(bins, dtype, range);
  const sensible = NORMAL_STEP[bits] * rootMeanSquare(cells) / 2;
  // No smaller than kernels take: its inverse has to be finite.
  const least = Math.max(LEAST_SCALE, Math.min(own.scale, sensible));
  const rater = createRater(cells, scheme, { norm: NORM[bits], least, unit: own.scale });
  let used = 0;
  const add = (code: number, scale: number, zeroPoint: number) => {
    tried.code_scale[used] = code;
    tried.scale[used] = scale;
    tried.zero_point[used] = zeroPoint;
    tried.error[used++] = rater.errorOf(code, scale, zeroPoint);
  };
  const tryAll = (perOctave: number, from: number, to: number, near?: number) => {
    const known = used;
    const last = Math.floor(Math.log2(to) * perOctave);
    for (let step = Math.ceil(Math.log2(from) * perOctave); step <= last; step++) {
      const code = Math.fround(2 ** (step / perOctave));
      // What keeps the smallest value, and what keeps the largest one.
      const atLo = near ?? zeroPointOf(range.lo, code, qmax);
      const atHi = near ?? clampCode(qmax - range.hi / code, qmax);
      const low = symmetric ? own.zero_point : Math.max(0, Math.min(atLo, atHi) - 1);
      const high = symmetric ? own.zero_point : Math.min(qmax, Math.max(atLo, atHi) + 1);
      const choices = Math.min(high - low + 1, ZERO_POINTS);
      for (let i = 0; i < choices; i++) {
        const share = choices === 1 ? 0 : (high - low) * i / (choices - 1);
        const zeroPoint = low + Math.round(share);
        if (isTried(known, code, zeroPoint)) continue;
        const scale = rater.scaleOf(code, zeroPoint);
        if (scale > 0) add(code, scale, zeroPoint);
      }
    }
  };
  const most = own.scale * MOST;
  tryAll(STEPS.coarse, least, most);
  // At 8 bits, scales closer together differ by less than a choice has to gain.
  if (used > 0 && bits < 8) {
    const best = indexOfLeast(tried.error, used);
    const code = tried.code_scale[best]!;
    const [from, to] = [code * 2 ** -REACH, code * 2 ** REACH];
    tryAll(STEPS.fine, Math.max(least, from), Math.min(most, to), tried.zero_point[best]);
  }
  add(own.scale, own.scale, own.zero_point);
  relateErrors(used, NORM[bits]);
  return {
    code_scale: tried.code_scale.subarray(0, used),
    scale: tried.scale.subarray(0, used),
    zero_point: tried.zero_point.subarray(0, used),
    error: tried.error.subarray(0, used),
  };
}

/** Whether one of the first candidates has these parameters. */
function isTried(candidates: number, code: number, zeroPoint: number): boolean {
  for (let i = 0; i < candidates; i++) {
    if (tried.code_scale[i] === code && tried.zero_point[i] === zeroPoint) return true;
  }
  return false;
}

/** Makes errors of sums of their powers, relative to the least. */
function relateErrors(candidates: number, norm: number): void {
  const least = tried.error[indexOfLeast(tried.error, candidates)]!;
  for (let i = 0; i < candidates; i++) {
    const error = tried.error[i]!;
    tried.error[i] = error === least ? 1 : (error / least) ** (2 / norm);
  }
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
