/** The quantizer of a layer's inputs, one for each time group, and what is expected of it: from histograms alone. */

import type { InputHistograms } from "../calibration/read_histograms.ts";
import type {
  ActivationBits,
  ActivationRange,
  LayerParams,
  ParamTrack,
  QuantParams,
  SmoothingMethod,
} from "../types.ts";
import { chooseInputParams, coupleInputs, rateInputs } from "./choose_input_range.ts";
import { planTimeGroups } from "../plan/plan_time_groups.ts";
import { planPoints } from "./plan_points.ts";
import { addUp, errorOf, type InputSums, signalOf } from "./input_errors.ts";
import { storedParams, trackOf } from "./score_track.ts";
import { smoothParams } from "./smooth_params.ts";

/** How a quantizer of inputs is planned. */
export interface InputQuantizerSettings {
  /** First timestep of each time group, and the number of timesteps at the end: [G+1]. */
  boundaries: number[];
  /** Width of a code. */
  bits: ActivationBits;
  /** How ranges are chosen. */
  range: ActivationRange;
  /** How parameters move across boundaries; `null`: at once. */
  smoothing: { window: number; method: SmoothingMethod } | null;
  /** What a jump of 1 costs; above 0 the parameters of all groups are chosen together. */
  weight: number;
  /** [T] what the relative error of each timestep counts; `undefined`: all the same. */
  timestepWeights: readonly number[] | undefined;
}

/** A quantizer over time, and the sums of squared errors that are expected of it. */
export interface InputQuantizer {
  /** [G] each: the parameters of the time groups. */
  scale: number[];
  zero_point: number[];
  /** The parameters of its timesteps, before zero points were rounded and as stored; `null`: those of the groups. */
  schedule: { exact: ParamTrack; stored: ParamTrack } | null;
  /** What phase baseline comes to: ranges from the least to the largest input, not smoothed. */
  baseline: { scale: number[]; zero_point: number[]; error: number };
  /** The sum of x^2: of each timestep what it counts, since its inputs are weighed by their own. */
  signal: number;
  /** Of the parameters as they are stored. */
  error: number;
  /** Of one range for all timesteps, chosen alike. */
  static_error: number;
  /** The relative error of one range for all timesteps at 8 bits: by it outlying inputs are told. */
  usual_error: number;
  /** Of a range of its own for each timestep: the limit; of more than 32 timesteps, by about as many of them. */
  limit_error: number;
  /** [P] the range of the inputs, largest less least: the largest of the timesteps of each point of a chart. */
  range: number[];
  /** Of so many equal groups as {@linkcode GROUP_COUNTS} has, chosen alike; those of more groups than timesteps are missing. */
  error_by_groups: number[];
}

/** Numbers of time groups of which it is said what they would come to. */
export const GROUP_COUNTS = [1, 2, 4, 8, 16] as const;

/** How near to the limit a number of groups has to come to be recommended, in dB. */
const ENOUGH_DB = 0.5;

/**
 * The least number of equal time groups that comes near enough to a range for each timestep; the most where none does.
 *
 * @param errors Of so many groups as {@linkcode GROUP_COUNTS} has, or some of the first.
 * @param limit The error with a range for each timestep.
 */
export function recommendGroups(errors: readonly number[], limit: number): number {
  const most = limit * 10 ** (ENOUGH_DB / 10);
  const enough = errors.findIndex((error) => error <= most);
  return GROUP_COUNTS[enough === -1 ? errors.length - 1 : enough]!;
}

/** How many times the relative error of the median input's an outlying one's is. */
const OUTLYING = 10;

/**
 * Which inputs codes hold far worse than most. Layers whose input has a few outliers, as the down projections of
 * language models, are most of what quantized inputs cost a model; others leave such inputs at 16 bits too:
 * LLM.int8(), Dettmers et al., 2022 (arXiv:2208.07339).
 *
 * @param errors The relative error of each input of the model at the same width, those that layers share once.
 */
export function findOutlying(errors: readonly number[]): boolean[] {
  const median = errors.toSorted((a, b) => a - b)[Math.floor((errors.length - 1) / 2)] ?? 0;
  return errors.map((error) => median > 0 && error > OUTLYING * median);
}

/** Most timesteps that are given a range of their own, to learn the limit: of more, some are taken. */
const MAX_LIMITS = 32;

/** Plans the quantizer of a layer's inputs, and what it is expected to come to. */
export function planInputQuantizer(
  all: InputHistograms,
  { boundaries, bits, range, smoothing, weight, timestepWeights }: InputQuantizerSettings,
): InputQuantizer {
  const timesteps = boundaries.at(-1)!;
  const equal = GROUP_COUNTS.filter((count) => count <= timesteps)
    .map((count) => planTimeGroups(timesteps, count));
  // The groups of the run are looked at once where they are equal ones.
  const isOwn = (cut: readonly number[]) =>
    cut.length === boundaries.length && cut.every((start, g) => start === boundaries[g]);
  const cuts = equal.some(isOwn) ? equal : [...equal, boundaries];
  let [limit_error, limit_signal, signal] = [0, 0, 0];
  const collected = cuts.map((cut) => cut.slice(1).map(() => new Float64Array(all.bins)));
  const every = Math.ceil(timesteps / MAX_LIMITS);
  all.visit((counts, t) => {
    const own = weighTimestep(all, counts, t, timestepWeights);
    signal += signalOf(own);
    if (t % every === 0) {
      limit_error += chooseInputParams(own, range, bits).error;
      limit_signal += signalOf(own);
    }
    for (const [i, cut] of cuts.entries()) {
      const group = collected[i]![groupOf(cut, t)]!;
      for (let bin = 0; bin < counts.length; bin++) group[bin] = group[bin]! + counts[bin]!;
    }
  });
  const inputs = cuts.map((cut, i) =>
    cut.slice(1).map((end, g) => sumsOf(all, collected[i]![g]!, cut[g]!, end))
  );
  const own = cuts.findIndex(isOwn);
  const choose = (i: number, how: ActivationRange) =>
    inputs[i]!.map((sums) => chooseInputParams(sums, how, bits));
  const sumOf = (chosen: readonly { error: number }[]) =>
    chosen.reduce((sum, { error }) => sum + error, 0);
  const chosen = equal.map((_, i) => choose(i, range));
  const groups = weight > 0
    ? coupleInputs(inputs[own]!, bits, weight)
    : chosen[own] ?? choose(own, range);
  const plain = range === "minmax" ? groups : choose(own, "minmax");
  const error_by_groups = chosen.map(sumOf);
  const listed = (chosen: readonly QuantParams[]) => ({
    scale: chosen.map(({ scale }) => scale),
    zero_point: chosen.map(({ zero_point }) => zero_point),
  });
  const found = {
    ...listed(groups),
    baseline: { ...listed(plain), error: sumOf(plain) },
    signal,
    static_error: error_by_groups[0]!,
    usual_error: rateInputs(inputs[0]![0]!),
    limit_error: limit_signal > 0 ? limit_error * signal / limit_signal : 0,
    error_by_groups,
    range: rangesOf(all, planPoints(timesteps)),
  };
  if (smoothing === null) return { ...found, schedule: null, error: sumOf(groups) };
  const params: LayerParams = {
    bands: boundaries,
    blocks: 1,
    scale: Float32Array.from(found.scale),
    zero_point: Uint8Array.from(found.zero_point),
  };
  const smooth = smoothParams(params, { ...smoothing, dtype: "F32" });
  const stored = trackOf(storedParams(smooth));
  let error = 0;
  all.visit((counts, t) => {
    const segment = groupOf(stored.starts, t);
    const own = { scale: stored.scale[segment]!, zero_point: stored.zero_point[segment]! };
    error += errorOf(weighTimestep(all, counts, t, timestepWeights), own, bits);
  });
  return { ...found, schedule: { exact: trackOf(smooth), stored }, error };
}

/**
 * The inputs of one timestep, their counts divided by the sum of their squares: a model depends on the relative
 * error at each timestep, however large its inputs are there. Early timesteps, where little noise has to be told
 * from the image, are what an image model errs at; the weights of a calibration say so.
 *
 * @param counts [bins] of the timestep, written over.
 */
export function weighTimestep(
  all: InputHistograms,
  counts: Float64Array,
  t: number,
  timestepWeights: readonly number[] | undefined,
): InputSums {
  const sums = sumsOf(all, counts, t, t + 1);
  const signal = signalOf(sums);
  const weight = signal > 0 ? (timestepWeights?.[t] ?? 1) / signal : 0;
  for (const values of [counts, sums.count, sums.first, sums.second]) {
    for (let i = 0; i < values.length; i++) values[i] = values[i]! * weight;
  }
  return sums;
}

/** The largest range of the inputs in each run of timesteps. */
function rangesOf({ min, max }: InputHistograms, starts: readonly number[]): number[] {
  return starts.slice(1).map((end, p) => {
    let most = 0;
    for (let t = starts[p]!; t < end; t++) most = Math.max(most, max[t]! - min[t]!);
    return most;
  });
}

/** The run of timesteps that one lies in. */
export function groupOf(starts: readonly number[], t: number): number {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= t) low = middle;
    else high = middle;
  }
  return low;
}

/** Sums over the inputs of timesteps [from, to). */
export function sumsOf(
  { min, max, from: left, width }: InputHistograms,
  counts: Float64Array,
  from: number,
  to: number,
): InputSums {
  let [lo, hi] = [Infinity, -Infinity];
  for (let t = from; t < to; t++) {
    if (min[t]! < lo) lo = min[t]!;
    if (max[t]! > hi) hi = max[t]!;
  }
  // Where all inputs are the same there is one point, and any width does.
  return addUp({ from: left, width: width || 1e-30, counts, lo, hi });
}
