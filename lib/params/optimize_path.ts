/** Phase optimize: one candidate for each time group, all chosen together. */

import { BadInputError } from "../base/errors.ts";
import { checkCodeWidth } from "../settings/check_settings.ts";
import { type CodeWidth, qmaxOf } from "../types.ts";

/** The candidates of one time group: [K] each, at least 1. */
export interface CandidateList {
  /** Scales as stored, above 0. */
  scale: ArrayLike<number>;
  /** 0 to qmax. */
  zero_point: ArrayLike<number>;
  /** What each costs by itself, 0 or more. */
  error: ArrayLike<number>;
}

/** A choice, and what it comes to. */
export interface CandidatePath {
  /** [G] index of the candidate of each time group. */
  path: number[];
  /** The sum of their errors and of `weight` times their jumps. */
  cost: number;
}

/** What going from one candidate to the next one costs: the scale jump plus the zero point jump. */
function jumpCost(
  left: CandidateList,
  l: number,
  right: CandidateList,
  r: number,
  qmax: number,
): number {
  const scale = left.scale[l]!;
  return Math.abs(right.scale[r]! - scale) / scale +
    Math.abs(right.zero_point[r]! - left.zero_point[l]!) / qmax;
}

/**
 * What a choice costs: the sum over time groups of the errors, plus `weight` times the sum over
 * boundaries of scale_jump + zero_point_jump.
 *
 * @param groups In time order.
 * @param path [G] index of each one's candidate.
 * @throws {BadInputError} The width is none.
 */
export function costOfPath(
  groups: readonly CandidateList[],
  path: readonly number[],
  bits: CodeWidth,
  weight: number,
): number {
  checkCodeWidth(bits);
  const qmax = qmaxOf(bits);
  return groups.reduce((cost, group, g) => {
    const jump = g === 0 ? 0 : jumpCost(groups[g - 1]!, path[g - 1]!, group, path[g]!, qmax);
    return cost + group.error[path[g]!]! + weight * jump;
  }, 0);
}

/**
 * The choice that costs least, by dynamic programming over the chain of time groups (Viterbi, "Error
 * Bounds for Convolutional Codes", 1967): exact, in O(G K^2). Of equal ones that with the first
 * candidates.
 *
 * @param groups In time order, each with at least one candidate.
 * @param weight Cost of a jump of 1, 0 or more.
 * @throws {BadInputError} The width is none, the weight is negative or no number, or a time group has no candidate.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const quiet = { scale: [0.1, 0.2], zero_point: [1, 1], error: [1, 1.1] };
 * const loud = { scale: [0.1, 0.2], zero_point: [1, 1], error: [3, 1] };
 * assert.deepEqual(optimizePath([quiet, loud], 2, 0).path, [0, 1]);
 * assert.deepEqual(optimizePath([quiet, loud], 2, 0.5).path, [1, 1]);
 * ```
 */
export function optimizePath(
  groups: readonly CandidateList[],
  bits: CodeWidth,
  weight: number,
): CandidatePath {
  checkCodeWidth(bits);
  checkWeight(weight);
  const empty = groups.findIndex(({ error }) => error.length === 0);
  if (empty >= 0) throw new BadInputError(`Cannot optimize time group ${empty}: no candidates`);
  const first = groups[0];
  if (first === undefined) return { path: [], cost: 0 };
  // Of one kind, whatever lists were given: this is where the time goes.
  let left = copyList(first);
  const before: Uint32Array[] = [];
  for (const group of groups.slice(1)) {
    const right = copyList(group);
    before.push(addCosts(left, right, weight, qmaxOf(bits)));
    left = right;
  }
  const path = [indexOfLeast(left.error)];
  for (const from of before.toReversed()) path.push(from[path.at(-1)!]!);
  path.reverse();
  return { path, cost: costOfPath(groups, path, bits, weight) };
}

/** Candidates, and what the best choice up to each one costs. */
type Costs = Record<keyof CandidateList, Float64Array>;

function copyList({ scale, zero_point, error }: CandidateList): Costs {
  return {
    scale: new Float64Array(scale),
    zero_point: new Float64Array(zero_point),
    error: new Float64Array(error),
  };
}

/** Adds to the candidates of a time group what the best choice before them costs; gives the candidate it ends with. */
function addCosts(left: Costs, right: Costs, weight: number, qmax: number): Uint32Array {
  const { scale, zero_point: zeroPoint, error: costs } = left;
  const inverse = scale.map((scale) => weight / scale);
  const zeroPointWeight = weight / qmax;
  const from = new Uint32Array(right.error.length);
  const cheapest = indexOfLeast(costs);
  for (let r = 0; r < from.length; r++) {
    const [ownScale, ownZeroPoint] = [right.scale[r]!, right.zero_point[r]!];
    let best = cheapest;
    let least = costs[best]! + Math.abs(ownScale - scale[best]!) * inverse[best]! +
      Math.abs(ownZeroPoint - zeroPoint[best]!) * zeroPointWeight;
    for (let l = 0; l < costs.length; l++) {
      // A jump costs nothing or more, so most candidates are done with here.
      if (costs[l]! > least) continue;
      const cost = costs[l]! + Math.abs(ownScale - scale[l]!) * inverse[l]! +
        Math.abs(ownZeroPoint - zeroPoint[l]!) * zeroPointWeight;
      if (cost > least || (cost === least && l >= best)) continue;
      [best, least] = [l, cost];
    }
    from[r] = best;
    right.error[r] = least + right.error[r]!;
  }
  return from;
}

/** The first of the least. */
function indexOfLeast(costs: Float64Array): number {
  let least = 0;
  for (let i = 1; i < costs.length; i++) {
    if (costs[i]! < costs[least]!) least = i;
  }
  return least;
}

function checkWeight(weight: number): void {
  if (weight >= 0 && Number.isFinite(weight)) return;
  throw new BadInputError(
    `Cannot optimize with a Markov weight of ${weight}: 0 or more is possible`,
  );
}
