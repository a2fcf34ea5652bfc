/** The parameters of a layer over its steps, which may change from one to the next, and how far they jump. */

import { BadInputError } from "../base/errors.ts";
import { areBoundaries } from "../plan/plan_time_groups.ts";
import {
  type BoundaryJump,
  measureJumps,
  scoreJumps,
  type Smoothness,
} from "./score_smoothness.ts";
import { DEFAULT_THRESHOLD } from "../settings/settings.ts";
import type { CodeWidth, LayerParams, ParamTrack, QuantParams } from "../types.ts";

/** Parameters of a layer as they are stored: zero points are integers. */
export function storedParams({ bands, blocks, scale, zero_point }: LayerParams): LayerParams {
  return { bands, blocks, scale, zero_point };
}

/** The parameters of a layer over its rows, as scored: the means over the blocks of a band; zero points before rounding. */
export function trackOf(params: LayerParams): ParamTrack {
  const { bands, blocks, scale, zero_point, exact_zero_point } = params;
  const mean = (values: Float32Array | Uint8Array, first: number) => {
    let sum = 0;
    for (let i = 0; i < blocks; i++) sum += values[first + i]!;
    return sum / blocks;
  };
  const firsts = bands.slice(1).map((_, band) => band * blocks);
  return {
    starts: [...bands],
    scale: firsts.map((first) => mean(scale, first)),
    zero_point: firsts.map((first) => mean(exact_zero_point ?? zero_point, first)),
  };
}

/** Sums over the blocks of each row: [rows] each. */
export interface RowTotals {
  /** Of their scales. */
  scale: Float64Array;
  /** Of their zero points. */
  zero_point: Float64Array;
  /** How many blocks were added up. */
  count: Float64Array;
}

/**
 * The mean parameters of each time group over its rows and blocks. A group in which none counts takes
 * those of its left neighbour; the first ones those of the nearest to the right; alone: 1, and
 * the zero point of all-zero blocks.
 *
 * @param boundaries First row of each time group, and the number of rows at the end: [G+1].
 * @param none The zero point of all-zero blocks.
 * @returns [G] each.
 */
export function meanOfGroups(
  { scale, zero_point, count }: RowTotals,
  boundaries: readonly number[],
  none = 0,
): Pick<ParamTrack, "scale" | "zero_point"> {
  const means = boundaries.slice(1).map((end, g) => {
    const total = { scale: 0, zero_point: 0, count: 0 };
    for (let row = boundaries[g]!; row < end; row++) {
      total.scale += scale[row]!;
      total.zero_point += zero_point[row]!;
      total.count += count[row]!;
    }
    return total.count === 0 ? undefined : {
      scale: total.scale / total.count,
      zero_point: total.zero_point / total.count,
    };
  });
  let last = means.find((mean) => mean !== undefined) ?? { scale: 1, zero_point: none };
  const filled = means.map((mean) => last = mean ?? last);
  return {
    scale: filled.map(({ scale }) => scale),
    zero_point: filled.map(({ zero_point }) => zero_point),
  };
}

/**
 * The jump at each boundary of a track: the largest between two neighbouring steps from the middle
 * of the time group before it to the middle of the one after it. A jump in the very middle of a group
 * counts for both its boundaries.
 *
 * @param boundaries First step of each time group, and the number of steps at the end: [G+1].
 * @returns [G-1] jumps.
 * @throws {BadInputError} A scale is not above 0.
 */
export function measureTrackJumps(
  { starts, scale, zero_point }: ParamTrack,
  boundaries: readonly number[],
  bits: CodeWidth,
): BoundaryJump[] {
  const params = scale.map((scale, s) => ({ scale, zero_point: zero_point[s]! }));
  return largestJumps({ starts, jumps: measureJumps(params, bits) }, boundaries);
}

/** The largest jump from the middle of each time group to the middle of the next one. */
function largestJumps(
  { starts, jumps }: { starts: readonly number[]; jumps: readonly BoundaryJump[] },
  boundaries: readonly number[],
): BoundaryJump[] {
  const middles = boundaries.slice(1).map((end, g) => middleOf(boundaries[g]!, end));
  let first = 0;
  return middles.slice(1).map(({ last: to }, b) => {
    const from = middles[b]!.first;
    const largest = { scale_jump: 0, zero_point_jump: 0 };
    // A jump lies between the last step of a segment and the first of the next one.
    while (starts[first + 1]! <= from) first++;
    for (let segment = first; starts[segment + 1]! <= to; segment++) {
      const jump = jumps[segment]!;
      largest.scale_jump = Math.max(largest.scale_jump, jump.scale_jump);
      largest.zero_point_jump = Math.max(largest.zero_point_jump, jump.zero_point_jump);
    }
    return largest;
  });
}

/**
 * Scores the parameters of single steps: each boundary by the largest jump between two neighbouring
 * steps from the middle of the time group before it to the middle of the one after it.
 *
 * @param steps Parameters of each step, [S]; zero points need not be integers.
 * @param boundaries First step of each time group, and S at the end: [G+1], ascending.
 * @param bits Width of a code, which fixes the range of the zero points.
 * @param threshold Scale jump above which a boundary is a violation.
 * @throws {BadInputError} A scale is not above 0, the boundaries do not fit the steps, or the width
 * or the threshold is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const steps = [0.1, 0.1, 0.12, 0.15].map((scale) => ({ scale, zero_point: 1 }));
 * const { boundary_scores } = scoreSteps(steps, [0, 2, 4], 2);
 * assert.equal(boundary_scores[0]?.toFixed(3), "0.875"); // the largest jump is 25 %
 * ```
 */
export function scoreSteps(
  steps: readonly QuantParams[],
  boundaries: readonly number[],
  bits: CodeWidth,
  threshold: number = DEFAULT_THRESHOLD,
): Smoothness {
  if (boundaries.at(-1) !== steps.length || !areBoundaries(boundaries)) {
    throw new BadInputError(
      `Cannot score ${steps.length} steps: the boundaries are [${boundaries}], ` +
        `must ascend from 0 to ${steps.length}`,
    );
  }
  const segments = {
    starts: Array.from({ length: steps.length + 1 }, (_, step) => step),
    jumps: measureJumps(steps, bits),
  };
  return scoreJumps(largestJumps(segments, boundaries), threshold);
}

/** The middle of the run [from, to): its one middle step, or the two that the middle lies between. */
function middleOf(from: number, to: number): { first: number; last: number } {
  const steps = to - from;
  return { first: from + Math.floor((steps - 1) / 2), last: from + Math.floor(steps / 2) };
}
