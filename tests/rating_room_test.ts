/** Room for candidates. */

import assert from "node:assert/strict";
import { createRatingRoom } from "../lib/params/rating_room.ts";

/** A rating of so many candidates. */
function rating(count: number, first: number) {
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  return {
    code_scale: Float32Array.from(numbers, (n) => n + 0.5),
    scale: Float32Array.from(numbers, (n) => n + 0.25),
    zero_point: Uint8Array.from(numbers, (n) => n % 256),
    error: Float64Array.from(numbers, (n) => n / 3),
  };
}

Deno.test("a room gives back what it keeps, also after it has grown, until it is cleared", () => {
  const room = createRatingRoom();
  for (let round = 0; round < 2; round++) {
    const all = [rating(3, 1), rating(60_000, 5), rating(1, 9), rating(300_000, 2), rating(7, 70)];
    let begin = 0;
    for (const one of all) {
      assert.equal(room.used(), begin);
      room.keep(one);
      begin += one.error.length;
    }
    const kept = room.look();
    begin = 0;
    for (const one of all) {
      const end = begin + one.error.length;
      for (const key of ["code_scale", "scale", "zero_point", "error"] as const) {
        assert.deepEqual(kept[key].slice(begin, end), one[key]);
      }
      begin = end;
    }
    room.clear();
    assert.equal(room.used(), 0);
  }
});
