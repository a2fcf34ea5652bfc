import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import levenshtein from "npm:fastest-levenshtein@1.0.16";
import { editDistance, findNearest } from "../lib/cli/find_nearest.ts";

Deno.test("editDistance() counts what another implementation counts", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b", "-", "é"), maxLength: 12 });
  fc.assert(
    fc.property(words, words, (a, b) => {
      assert.equal(editDistance(a, b), levenshtein.distance(a, b));
    }),
    { numRuns: 2000, seed: 7 },
  );
  assert.deepEqual(
    [["", ""], ["", "abc"], ["abc", ""], ["kitten", "sitting"], ["ab", "ba"]].map(([a, b]) =>
      editDistance(a!, b!)
    ),
    [0, 3, 3, 3, 2],
  );
});

Deno.test("findNearest() gives the word that was meant, or none", () => {
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
    assert.equal(findNearest(word, words), expected, word.slice(0, 20));
  }
  assert.equal(findNearest("json", []), undefined);
});
