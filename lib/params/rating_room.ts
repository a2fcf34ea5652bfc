/**
 * Room for the candidates of many blocks, used again for the next ones: thousands of lists that live until a choice is
 * made would be collected late, and take several times what they hold.
 */

import type { BlockCandidates } from "./rate_block.ts";

/** Candidates that there is room for at first. */
const FIRST_ROOM = 2 ** 16;

/** Room for ratings. */
export interface RatingRoom {
  /** Candidates in it. */
  used(): number;
  /** Keeps a copy of a block's candidates, behind the others, until the room is cleared. */
  keep(rating: BlockCandidates): void;
  /** All candidates: of use until more are kept. */
  look(): BlockCandidates;
  /** Gives up all copies. */
  clear(): void;
}

/** Makes room, which grows to what is kept at a time. */
export function createRatingRoom(): RatingRoom {
  let room = emptyRoom(FIRST_ROOM);
  let used = 0;

  function grow(size: number): void {
    const larger = emptyRoom(Math.max(size, 2 * room.error.length));
    larger.code_scale.set(room.code_scale);
    larger.scale.set(room.scale);
    larger.zero_point.set(room.zero_point);
    larger.error.set(room.error);
    room = larger;
  }

  return {
    used: () => used,
    keep({ code_scale, scale, zero_point, error }) {
      const end = used + error.length;
      if (end > room.error.length) grow(end);
      room.code_scale.set(code_scale, used);
      room.scale.set(scale, used);
      room.zero_point.set(zero_point, used);
      room.error.set(error, used);
      used = end;
    },
    look: () => room,
    clear() {
      used = 0;
    },
  };
}

function emptyRoom(candidates: number): BlockCandidates {
  return {
    code_scale: new Float32Array(candidates),
    scale: new Float32Array(candidates),
    zero_point: new Uint8Array(candidates),
    error: new Float64Array(candidates),
  };
}
