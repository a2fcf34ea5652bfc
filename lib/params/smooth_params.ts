/** Phase smooth: parameters move gradually from one time group's to the next one's. */

import { checkSmoothingMethod } from "../settings/check_settings.ts";
import {
  DEFAULT_INPUT_WINDOW,
  DEFAULT_WINDOWS,
  LIMITS,
  type QuantizeSettings,
} from "../settings/settings.ts";
import { BadInputError } from "../base/errors.ts";
import { roundHalfEven } from "./estimate_params.ts";
import { areBoundaries } from "../plan/plan_time_groups.ts";
import { type FloatDtype, roundToDtype } from "../safetensors/dtype.ts";
import type { LayerParams, ParamTrack, QuantParams, SmoothingMethod } from "../types.ts";

/** Steepness of the sigmoid: it starts and ends within 1 % of the groups' own parameters. */
const STEEPNESS = 10;

/** The share of the right group's parameters, by the share of the way gone: both 0 to 1. */
const CURVES: Record<SmoothingMethod, (way: number) => number> = {
  linear: (way) => way,
  cubic: (way) => way ** 2 * (3 - 2 * way),
  sigmoid: (way) => 1 / (1 + Math.exp(-STEEPNESS * (way - 0.5))),
};

/** The window a run smooths with; `null`: it does not. */
export function smoothingWindowOf(
  { granularity, phase, smoothingWindow }: Pick<
    QuantizeSettings,
    "granularity" | "phase" | "smoothingWindow"
  >,
): number | null {
  if (phase === "baseline") return null;
  return smoothingWindow ?? (phase === "smooth" ? DEFAULT_WINDOWS[granularity] : null);
}

/** The window a run smooths the parameters of inputs with, in timesteps; `null`: it does not. */
export function inputWindowOf(
  { phase, smoothingWindow }: Pick<QuantizeSettings, "phase" | "smoothingWindow">,
): number | null {
  if (phase === "baseline") return null;
  return smoothingWindow ?? (phase === "smooth" ? DEFAULT_INPUT_WINDOW : null);
}

function checkWindow(window: number): void {
  const { min, max } = LIMITS.smoothingWindow;
  if (Number.isInteger(window) && window >= min && window <= max) return;
  throw new BadInputError(
    `Cannot smooth with a window of ${window} steps: from ${min} to ${max} are possible`,
  );
}

/** How parameters are smoothed. */
export interface Smoothing {
  /** Steps on each side of a boundary, at least 1. */
  window: number;
  /** The curve. */
  method: SmoothingMethod;
  /** Scales are rounded to this dtype, the stored one. */
  dtype: FloatDtype;
}

/** A run of steps [from, to) around a boundary, of which each has parameters of its own. */
export interface Window {
  /** First step. */
  from: number;
  /** The step behind the last one. */
  to: number;
}

/**
 * The windows of a time axis: at each boundary as many steps on both sides, at most half of the
 * shorter group's, so that they never pass its middle.
 *
 * @param starts First step of each time group, and the number of steps at the end: [G+1].
 * @returns Those that are not empty, ascending; they do not overlap.
 */
export function planWindows(starts: readonly number[], window: number): Window[] {
  return starts.slice(1, -1).flatMap((boundary, b) => {
    const shorter = Math.min(boundary - starts[b]!, starts[b + 2]! - boundary);
    const width = Math.min(window, Math.floor(shorter / 2));
    return width === 0 ? [] : [{ from: boundary - width, to: boundary + width }];
  });
}

/** A run of steps with the same parameters. */
export interface Segment {
  /** First step. */
  start: number;
  /** The time group it begins in. */
  group: number;
  /** How far its parameters are on the way to the next group's: 0, or inside a window up to 1. */
  share: number;
}

/**
 * Cuts a time axis into steps inside windows and runs of steps between them: step i of the 2W of a window
 * is curve(alpha) of the way to the right group's parameters, alpha = (i + 1) / (2W + 1).
 *
 * @param starts First step of each time group, and the number of steps at the end: [G+1].
 */
export function planSegments(
  starts: readonly number[],
  { window, method }: Pick<Smoothing, "window" | "method">,
): Segment[] {
  const segments: Segment[] = [];
  let group = 0;
  let step = 0;
  /** The rest of the groups up to a step, without change. */
  const keep = (to: number) => {
    while (step < to) {
      while (starts[group + 1]! <= step) group++;
      segments.push({ start: step, group, share: 0 });
      step = Math.min(to, starts[group + 1]!);
    }
  };
  for (const { from, to } of planWindows(starts, window)) {
    keep(from);
    while (starts[group + 1]! <= from) group++;
    for (; step < to; step++) {
      const share = CURVES[method]((step - from + 1) / (to - from + 1));
      segments.push({ start: step, group, share });
    }
  }
  keep(starts.at(-1)!);
  return segments;
}

/** A value of a segment on its way from its time group's to the next one's. */
function interpolate(
  { group, share }: Segment,
  valueOf: (group: number) => number,
): number {
  const left = valueOf(group);
  return share === 0 ? left : left + share * (valueOf(group + 1) - left);
}

/**
 * Smooths the mean parameters of time groups, see {@linkcode planSegments}; nothing is rounded.
 *
 * @param groups A segment for each time group.
 * @returns A segment for each one that is given.
 */
export function smoothTrack(groups: ParamTrack, segments: readonly Segment[]): ParamTrack {
  return {
    starts: [...segments.map(({ start }) => start), groups.starts.at(-1)!],
    scale: segments.map((segment) => interpolate(segment, (group) => groups.scale[group]!)),
    zero_point: segments.map((segment) =>
      interpolate(segment, (group) => groups.zero_point[group]!)
    ),
  };
}

/** Parameters of which zero points before rounding are kept, since the score is theirs. */
export type SmoothedParams = LayerParams & Required<Pick<LayerParams, "exact_zero_point">>;

/**
 * Smooths the parameters of the slices of a layer, see {@linkcode planSegments};
 * scales are rounded to the stored dtype, zero points to integers, half to even; the zero points before
 * rounding are kept, since the score is theirs: at 2 bits one integer step alone is a jump of 1/3.
 *
 * @param groups One band for each time group.
 * @returns A band for each step in a window, and one for each run of steps between windows.
 */
export function smoothParams(groups: LayerParams, smoothing: Smoothing): SmoothedParams {
  const { bands } = groups;
  return smoothSegments(groups, planSegments(bands, smoothing), bands.at(-1)!, smoothing.dtype);
}

/**
 * Smooths the parameters of some segments, see {@linkcode smoothParams}.
 *
 * @param segments Those that lie one behind the other.
 * @param end The step behind the last one.
 */
export function smoothSegments(
  groups: LayerParams,
  segments: readonly Segment[],
  end: number,
  dtype: FloatDtype,
): SmoothedParams {
  const { blocks, code_scale } = groups;
  const fill = <T extends Float32Array | Uint8Array>(
    out: T,
    values: ArrayLike<number>,
    round: (value: number) => number,
  ): T => {
    for (let i = 0; i < out.length; i++) {
      const segment = segments[Math.floor(i / blocks)]!;
      const value = interpolate(segment, (group) => values[group * blocks + i % blocks]!);
      out[i] = round(value);
    }
    return out;
  };
  const size = segments.length * blocks;
  return {
    bands: [...segments.map(({ start }) => start), end],
    blocks,
    scale: fill(new Float32Array(size), groups.scale, (scale) => roundToDtype(scale, dtype)),
    zero_point: fill(new Uint8Array(size), groups.zero_point, roundHalfEven),
    exact_zero_point: fill(new Float32Array(size), groups.zero_point, Math.fround),
    ...code_scale && { code_scale: fill(new Float32Array(size), code_scale, Math.fround) },
  };
}

/**
 * The segments of the steps from `from` to `to`, the first one cut where they begin.
 *
 * @param segments All of a time axis.
 */
export function cutSegments(segments: readonly Segment[], { from, to }: Window): Segment[] {
  const [first, last] = [segmentOf(segments, from), segmentOf(segments, to - 1)];
  const found = segments.slice(first, last + 1);
  return found.map((segment, i) => i === 0 ? { ...segment, start: from } : segment);
}

/** The segment that a step is in. */
function segmentOf(segments: readonly Segment[], step: number): number {
  let [first, last] = [0, segments.length - 1];
  while (first < last) {
    const middle = Math.ceil((first + last) / 2);
    if (segments[middle]!.start <= step) first = middle;
    else last = middle - 1;
  }
  return first;
}

/**
 * Smooths the parameters of time groups, see {@linkcode smoothParams}.
 *
 * @param groups Parameters of each time group, [G].
 * @param boundaries First step of each time group, and the number of steps S at the end: [G+1], ascending from 0.
 * @returns The parameters of each step, [S]; zero points as interpolated: round them, half to even, to encode.
 * @throws {BadInputError} The window is not from 1 to 20, or the boundaries do not fit the groups.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const groups = [{ scale: 1, zero_point: 1 }, { scale: 4, zero_point: 2 }];
 * const steps = smoothGroups(groups, [0, 4, 8], { window: 1, method: "linear", dtype: "F32" });
 * assert.deepEqual(steps.map(({ scale }) => scale), [1, 1, 1, 2, 3, 4, 4, 4]);
 * ```
 */
export function smoothGroups(
  groups: readonly QuantParams[],
  boundaries: readonly number[],
  smoothing: Smoothing,
): QuantParams[] {
  checkWindow(smoothing.window);
  checkSmoothingMethod(smoothing.method);
  if (boundaries.length !== groups.length + 1 || !areBoundaries(boundaries)) {
    throw new BadInputError(
      `Cannot smooth ${groups.length} time groups: the boundaries are [${boundaries}], ` +
        `must be ${groups.length + 1} steps that ascend from 0`,
    );
  }
  const { bands, scale, exact_zero_point } = smoothParams({
    bands: [...boundaries],
    blocks: 1,
    scale: Float32Array.from(groups, ({ scale }) => scale),
    zero_point: Uint8Array.from(groups, ({ zero_point }) => zero_point),
  }, smoothing);
  return bands.slice(1).flatMap((end, segment) =>
    Array.from({ length: end - bands[segment]! }, () => ({
      scale: scale[segment]!,
      zero_point: exact_zero_point[segment]!,
    }))
  );
}
