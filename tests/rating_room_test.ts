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
    assert.deepEqual(all.map((one) => room.keep(one)), [0, 1, 2, 3, 4]);
    for (const [kept, one] of all.entries()) {
      const { code_scale, scale, zero_point, error } = room.look(kept);
      assert.deepEqual(error, one.error);
      assert.deepEqual(zero_point, one.zero_point);
      assert.deepEqual([code_scale.length, scale.length], [one.scale.length, one.scale.length]);
      assert.deepEqual([code_scale[2], scale[0]], [one.code_scale[2], one.scale[0]]);
    }
    room.clear();
  }
});
