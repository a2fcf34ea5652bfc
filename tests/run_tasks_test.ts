/** The tasks of a run: the largest first, a few at a time. */

import assert from "node:assert/strict";
import { runTasks } from "../lib/run/run_tasks.ts";

const TASKS = [3, 1, 4, 1, 5].map((bytes, index) => ({ bytes, index }));

/** Lets what is ready go on. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("runTasks() begins the largest first, and equal ones in their order", async () => {
  const begun: number[] = [];
  await runTasks(TASKS, ({ index }) => Promise.resolve(void begun.push(index)), 1);
  assert.deepEqual(begun, [4, 2, 0, 1, 3]);
});

Deno.test("runTasks() has so many under way and no more", async () => {
  const ends: (() => void)[] = [];
  const all = runTasks(TASKS, () => new Promise<void>((end) => void ends.push(end)), 2);
  for (const [done, begun] of [[0, 2], [1, 3], [2, 4], [3, 5]] as const) {
    await turn();
    assert.equal(ends.length, begun);
    ends[done]!();
  }
  ends[4]!();
  await all;
});

Deno.test("runTasks() begins none after the first that fails", async () => {
  const begun: number[] = [];
  const run = ({ index }: { index: number }) => {
    begun.push(index);
    return index === 2 ? Promise.reject(new Error("two")) : Promise.resolve();
  };
  await assert.rejects(runTasks(TASKS, run, 1), { message: "two" });
  assert.deepEqual(begun, [4, 2]);
});
