/**
 * Room for the candidates of many blocks, used again for the next ones: thousands of lists that live until a choice is
 * made would be collected late, and take several times what they hold.
 */

import type { BlockCandidates } from "./rate_block.ts";

/** Candidates that there is room for at first. */
const FIRST_ROOM = 2 ** 16;

/** Room for ratings. */
export interface RatingRoom {
  /** Keeps a copy until the room is cleared; gives its number, from 0 on. */
  keep(rating: BlockCandidates): number;
  /** A view of a copy. */
  look(kept: number): BlockCandidates;
  /** Gives up all copies. */
  clear(): void;
}

/** Makes room, which grows to what is kept at a time. */
export function createRatingRoom(): RatingRoom {
  let room = emptyRoom(FIRST_ROOM);
  /** First candidate of each copy, and the one behind the last. */
  const begins = [0];

  function grow(size: number): void {
    const larger = emptyRoom(Math.max(size, 2 * room.error.length));
    larger.code_scale.set(room.code_scale);
    larger.scale.set(room.scale);
    larger.zero_point.set(room.zero_point);
    larger.error.set(room.error);
    room = larger;
  }

  return {
    keep({ code_scale, scale, zero_point, error }) {
      const begin = begins.at(-1)!;
      const end = begin + error.length;
      if (end > room.error.length) grow(end);
      room.code_scale.set(code_scale, begin);
      room.scale.set(scale, begin);
      room.zero_point.set(zero_point, begin);
      room.error.set(error, begin);
      return begins.push(end) - 2;
    },
    look(kept) {
      const [begin, end] = [begins[kept]!, begins[kept + 1]!];
      return {
        code_scale: room.code_scale.subarray(begin, end),
        scale: room.scale.subarray(begin, end),
        zero_point: room.zero_point.subarray(begin, end),
        error: room.error.subarray(begin, end),
      };
    },
    clear() {
      begins.length = 1;
    },
  };
}

function emptyRoom(candidates: number) {
  return {
    code_scale: new Float32Array(candidates),
    scale: new Float32Array(candidates),
    zero_point: new Uint8Array(candidates),
    error: new Float64Array(candidates),
  };
}
