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

/** The candidates of time groups in one list: thousands of lists would be most of the memory that a choice takes. */
export interface CandidateColumns extends CandidateList {
  /** [G] the first candidate of each time group in order. */
  begin: Uint32Array;
  /** [G] the one behind its last. */
  end: Uint32Array;
}

/** A choice, and what it comes to. */
export interface CandidatePath {
  /** [G] index of the candidate of each time group. */
  path: number[];
  /** The sum of their errors and of `weight` times their jumps. */
  cost: number;
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
  return costOfColumns(joinLists(groups), path, bits, weight);
}

/** See {@linkcode costOfPath}. */
export function costOfColumns(
  { scale, zero_point: zeroPoint, error, begin }: CandidateColumns,
  path: ArrayLike<number>,
  bits: CodeWidth,
  weight: number,
): number {
  checkCodeWidth(bits);
  const qmax = qmaxOf(bits);
  let cost = 0;
  let before = -1;
  for (let g = 0; g < begin.length; g++) {
    const own = begin[g]! + path[g]!;
    // From one candidate to the next one: the scale jump plus the zero point jump.
    const jump = before < 0 ? 0 : Math.abs(scale[own]! - scale[before]!) / scale[before]! +
      Math.abs(zeroPoint[own]! - zeroPoint[before]!) / qmax;
    cost += error[own]! + weight * jump;
    before = own;
  }
  return cost;
}

function joinLists(groups: readonly CandidateList[]): CandidateColumns {
  const all: Record<keyof CandidateList, number[]> = { scale: [], zero_point: [], error: [] };
  const [begin, end] = [new Uint32Array(groups.length), new Uint32Array(groups.length)];
  for (const [g, { scale, zero_point, error }] of groups.entries()) {
    begin[g] = all.error.length;
    for (let i = 0; i < error.length; i++) {
      all.scale.push(scale[i]!);
      all.zero_point.push(zero_point[i]!);
      all.error.push(error[i]!);
    }
    end[g] = all.error.length;
  }
  return { ...all, begin, end };
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
  const columns = joinLists(groups);
  const path = optimizeColumns(columns, bits, weight);
  return { path: [...path], cost: costOfColumns(columns, path, bits, weight) };
}

/** The path of {@linkcode optimizePath}: [G]. */
export function optimizeColumns(
  columns: CandidateColumns,
  bits: CodeWidth,
  weight: number,
): Uint32Array {
  checkCodeWidth(bits);
  checkWeight(weight);
  const counts = columns.end.map((end, g) => end - columns.begin[g]!);
  const empty = counts.indexOf(0);
  if (empty >= 0) throw new BadInputError(`Cannot optimize time group ${empty}: no candidates`);
  const path = new Uint32Array(counts.length);
  if (path.length === 0) return path;
  const most = counts.reduce((a, b) => Math.max(a, b));
  const before = new Uint32Array(counts.reduce((a, b) => a + b));
  let [left, right] = [createCosts(most), createCosts(most)];
  copyCandidates(columns, 0, left);
  let at = left.count;
  for (let g = 1; g < path.length; g++) {
    copyCandidates(columns, g, right);
    addCosts(left, right, before.subarray(at, at + right.count), weight, qmaxOf(bits));
    at += right.count;
    [left, right] = [right, left];
  }
  path[path.length - 1] = indexOfLeast(left.cost, left.count);
  for (let g = path.length - 1; g > 0; g--) {
    at -= counts[g]!;
    path[g - 1] = before[at + path[g]!]!;
  }
  return path;
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

function copyCandidates(
  { scale, zero_point, error, begin, end }: CandidateColumns,
  group: number,
  costs: Costs,
): void {
  const first = begin[group]!;
  costs.count = end[group]! - first;
  for (let i = 0; i < costs.count; i++) {
    costs.scale[i] = scale[first + i]!;
    costs.zeroPoint[i] = zero_point[first + i]!;
    costs.cost[i] = error[first + i]!;
  }
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
  const cheapest = indexOfLeast(left.cost, left.count);
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

/** The first of the least among the first `count`. */
export function indexOfLeast(costs: Float64Array, count: number): number {
  let least = 0;
  for (let i = 1; i < count; i++) {
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
