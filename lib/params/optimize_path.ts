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

/** The candidates of time groups in order, each list asked for when it is needed: an array, or what makes views. */
export type CandidateLists = Pick<readonly CandidateList[], "length" | "at">;

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
  groups: CandidateLists,
  path: readonly number[],
  bits: CodeWidth,
  weight: number,
): number {
  checkCodeWidth(bits);
  const qmax = qmaxOf(bits);
  let cost = 0;
  let before: CandidateList | undefined;
  for (let g = 0; g < groups.length; g++) {
    const group = groups.at(g)!;
    const jump = before === undefined ? 0 : jumpCost(before, path[g - 1]!, group, path[g]!, qmax);
    cost += group.error[path[g]!]! + weight * jump;
    before = group;
  }
  return cost;
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
  groups: CandidateLists,
  bits: CodeWidth,
  weight: number,
): CandidatePath {
  checkCodeWidth(bits);
  checkWeight(weight);
  let [all, most] = [0, 0];
  for (let g = 0; g < groups.length; g++) {
    const count = groups.at(g)!.error.length;
    if (count === 0) throw new BadInputError(`Cannot optimize time group ${g}: no candidates`);
    all += count;
    most = Math.max(most, count);
  }
  if (groups.length === 0) return { path: [], cost: 0 };
  // Few arrays for all time groups, since each of their own would outlive many collections of garbage.
  const before = new Uint32Array(all);
  let [left, right] = [createCosts(most), createCosts(most)];
  copyList(groups.at(0)!, left);
  let begin = left.count;
  for (let g = 1; g < groups.length; g++) {
    copyList(groups.at(g)!, right);
    addCosts(left, right, before.subarray(begin, begin + right.count), weight, qmaxOf(bits));
    begin += right.count;
    [left, right] = [right, left];
  }
  const path = [indexOfLeast(left)];
  for (let g = groups.length - 1; g > 0; g--) {
    begin -= groups.at(g)!.error.length;
    path.push(before[begin + path.at(-1)!]!);
  }
  path.reverse();
  return { path, cost: costOfPath(groups, path, bits, weight) };
}

/** Candidates, and what the best choice up to each one costs: of one kind, since this is where the time goes. */
interface Costs {
  count: number;
  /** `weight` by each scale. */
  inverse: Float64Array;
  scale: Float64Array;
  zeroPoint: Float64Array;
  cost: Float64Array;
}

/** Room for so many. */
function createCosts(candidates: number): Costs {
  const column = () => new Float64Array(candidates);
  return { count: 0, inverse: column(), scale: column(), zeroPoint: column(), cost: column() };
}

function copyList({ scale, zero_point, error }: CandidateList, costs: Costs): void {
  costs.count = error.length;
  costs.scale.set(scale);
  costs.zeroPoint.set(zero_point);
  costs.cost.set(error);
}

/**
 * Adds to the candidates of a time group what the best choice before them costs.
 *
 * @param from Gets the candidate that it ends with.
 */
function addCosts(
  left: Costs,
  right: Costs,
  from: Uint32Array,
  weight: number,
  qmax: number,
): void {
  const { count, inverse, scale, zeroPoint, cost: costs } = left;
  for (let l = 0; l < count; l++) inverse[l] = weight / scale[l]!;
  const zeroPointWeight = weight / qmax;
  const cheapest = indexOfLeast(left);
  for (let r = 0; r < right.count; r++) {
    const ownScale = right.scale[r]!;
    const ownZeroPoint = right.zeroPoint[r]!;
    let best = cheapest;
    let least = costs[best]! + Math.abs(ownScale - scale[best]!) * inverse[best]! +
      Math.abs(ownZeroPoint - zeroPoint[best]!) * zeroPointWeight;
    for (let l = 0; l < count; l++) {
      // A jump costs nothing or more, so most candidates are done with here.
      if (costs[l]! > least) continue;
      const cost = costs[l]! + Math.abs(ownScale - scale[l]!) * inverse[l]! +
        Math.abs(ownZeroPoint - zeroPoint[l]!) * zeroPointWeight;
      if (cost > least || (cost === least && l >= best)) continue;
      best = l;
      least = cost;
    }
    from[r] = best;
    right.cost[r] = least + right.cost[r]!;
  }
}

/** The first of the least. */
function indexOfLeast({ count, cost }: Costs): number {
  let least = 0;
  for (let i = 1; i < count; i++) {
    if (cost[i]! < cost[least]!) least = i;
  }
  return least;
}

function checkWeight(weight: number): void {
  if (weight >= 0 && Number.isFinite(weight)) return;
  throw new BadInputError(
    `Cannot optimize with a Markov weight of ${weight}: 0 or more is possible`,
  );
}
