/** Pieces of work, a few at a time. */

import assert from "node:assert/strict";
import { runInOrder } from "../lib/layer/run_in_order.ts";

/** Work that is done when it is told to be. */
function heldWork() {
  const ends: { end: (found: string) => void; fail: (error: Error) => void }[] = [];
  return {
    ends,
    work: (_: number) =>
      new Promise<string>((resolve, reject) => void ends.push({ end: resolve, fail: reject })),
  };
}

/** Lets what is ready go on. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("runInOrder() begins 16 pieces, and another one whenever the first is taken", async () => {
  const { ends, work } = heldWork();
  const taken: [string, number][] = [];
  const pieces = Array.from({ length: 20 }, (_, i) => i);
  const all = runInOrder(pieces, work, (found, piece) => void taken.push([found, piece]));
  await turn();
  assert.equal(ends.length, 16);
  ends[1]!.end("b");
  await turn();
  assert.deepEqual([ends.length, taken], [16, []]);
  ends[0]!.end("a");
  await turn();
  assert.deepEqual([ends.length, taken], [18, [["a", 0], ["b", 1]]]);
  for (const { end } of ends) end("c");
  await turn();
  for (const { end } of ends) end("c");
  await all;
  assert.equal(ends.length, 20);
  assert.deepEqual(taken.map(([, piece]) => piece), pieces);
});

Deno.test("runInOrder() fails with what a piece fails with, also where one before it is at work", async () => {
  const { ends, work } = heldWork();
  const all = runInOrder([0, 1, 2], work, () => {});
  await turn();
  ends[1]!.fail(new Error("second"));
  await turn();
  ends[0]!.end("a");
  await assert.rejects(all, { message: "second" });
  await assert.rejects(
    runInOrder([0], () => Promise.resolve(1), () => {
      throw new Error("taken");
    }),
    { message: "taken" },
  );
});
