import assert from "node:assert/strict";
import { findNearest } from "../lib/cli/find_nearest.ts";

Deno.test("findNearest() gives the word that was meant, or none", async () => {
  const words = ["bit-width", "backend", "json", "num-time-groups"];
  for (
    const [word, expected] of [
      ["bit-widht", "bit-width"],
      ["bits-width", "bit-width"],
      ["width", "bit-width"],
      ["num", "num-time-groups"],
      ["jsn", "json"],
      ["js", "json"],
      ["xy", undefined],
      ["nothing-like-it", undefined],
      ["", undefined],
      ["x".repeat(10_000), undefined],
    ] as const
  ) {
    assert.equal(await findNearest(word, words), expected, word.slice(0, 20));
  }
  assert.equal(await findNearest("json", []), undefined);
});
