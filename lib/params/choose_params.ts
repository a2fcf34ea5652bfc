/** Phase optimize by slices: chooses the parameters of a block in all time groups together. */

import type { Bits } from "../types.ts";
import { type CandidateColumns, costOfColumns, optimizeColumns } from "./optimize_path.ts";

/**
 * Least share of its cost that a block has to save. New parameters round every weight anew, and that
 * alone moves what a model computes by half a dB either way; a choice that saves less than this is not
 * worth it, and the parameters of the blocks' own ranges stay.
 */
const LEAST_GAIN = 0.1;

/**
 * Chooses for the same block of every time group.
 *
 * @param ratings Of the time groups in order, each with its own range's parameters last; one has none where the block
 *   is all zero.
 * @param weight Cost of a jump of 1, in units of the least error a block can have.
 * @returns [G] which of all candidates each takes; an all-zero block takes its left neighbour's, the first ones those
 *   of the nearest to the right; empty where all are zero.
 */
export function chooseParams(
  { begin, end, ...candidates }: CandidateColumns,
  bits: Bits,
  weight: number,
): Uint32Array {
  const isRated = begin.map((first, group) => first < end[group]! ? 1 : 0);
  const rated = {
    ...candidates,
    begin: begin.filter((_, group) => isRated[group]),
    end: end.filter((_, group) => isRated[group]),
  };
  if (rated.begin.length === 0) return new Uint32Array(0);
  const path = choosePath(rated, bits, weight);
  let at = -1;
  return isRated.map((isOwn) => {
    at += isOwn;
    return rated.begin[Math.max(at, 0)]! + path[Math.max(at, 0)]!;
  });
}

/** The best choice, or the blocks' own parameters where it saves too little. */
function choosePath(ratings: CandidateColumns, bits: Bits, weight: number): Uint32Array {
  const path = optimizeColumns(ratings, bits, weight);
  const own = ratings.end.map((end, group) => end - ratings.begin[group]! - 1);
  const cost = costOfColumns(ratings, path, bits, weight);
  const isWorth = cost <= costOfColumns(ratings, own, bits, weight) * (1 - LEAST_GAIN);
  return isWorth ? path : own;
}
