/** Phase optimize by slices: chooses the parameters of a block in all time groups together. */

import type { Bits } from "../types.ts";
import { type CandidateLists, costOfPath, optimizePath } from "./optimize_path.ts";
import type { BlockCandidates } from "./rate_block.ts";

/**
 * Least share of its cost that a block has to save. New parameters round every weight anew, and that
 * alone moves what a model computes by half a dB either way; a choice that saves less than this is not
 * worth it, and the parameters of the blocks' own ranges stay.
 */
const LEAST_GAIN = 0.1;

/** The parameters of a block in a time group. */
export interface ChosenParams {
  /** Scale that makes the codes. */
  code_scale: number;
  /** Scale to be stored. */
  scale: number;
  /** 0 to qmax. */
  zero_point: number;
}

/**
 * Chooses for the same block of every time group.
 *
 * @param ratings [G] of the time groups in order, each asked for when it is needed; `undefined` where the block is all
 *   zero.
 * @param weight Cost of a jump of 1, in units of the least error a block can have.
 * @returns [G]; an all-zero block takes its left neighbour's parameters, the first ones those of the nearest to
 *   the right; empty where all are zero.
 */
export function chooseParams(
  ratings: Pick<readonly (BlockCandidates | undefined)[], "length" | "at">,
  bits: Bits,
  weight: number,
): ChosenParams[] {
  const groups = Array.from({ length: ratings.length }, (_, group) => group);
  const rated = groups.filter((group) => ratings.at(group) !== undefined);
  if (rated.length === 0) return [];
  const path = choosePath(
    { length: rated.length, at: (i) => ratings.at(rated[i]!) },
    bits,
    weight,
  );
  let at = -1;
  return groups.map((group) => {
    if (group === rated[at + 1]) at++;
    const [rating, choice] = [ratings.at(rated[Math.max(at, 0)]!)!, path[Math.max(at, 0)]!];
    return {
      code_scale: rating.code_scale[choice]!,
      scale: rating.scale[choice]!,
      zero_point: rating.zero_point[choice]!,
    };
  });
}

/** The best choice, or the blocks' own parameters where it saves too little. */
function choosePath(ratings: CandidateLists, bits: Bits, weight: number): number[] {
  const { path, cost } = optimizePath(ratings, bits, weight);
  const own = path.map((_, i) => ratings.at(i)!.error.length - 1);
  const isWorth = cost <= costOfPath(ratings, own, bits, weight) * (1 - LEAST_GAIN);
  return isWorth ? path : own;
}
