/** The dynamic programme against brute force. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type CandidateList, costOfPath, optimizePath } from "../mod.ts";
import { assertBadInput } from "./assert_bad_input.ts";

/** Up to 6 candidates at 2 bits, some alike. */
const candidates: fc.Arbitrary<CandidateList> = fc.array(
  fc.tuple(
    fc.constantFrom(0.05, 0.1, 0.11, 0.2, 1),
    fc.integer({ min: 0, max: 3 }),
    fc.oneof(fc.constantFrom(0, 1, 1.5), fc.double({ min: 0, max: 10, noNaN: true })),
  ),
  { minLength: 1, maxLength: 6 },
).map((rows) => ({
  scale: rows.map(([scale]) => scale),
  zero_point: rows.map(([, zeroPoint]) => zeroPoint),
  error: rows.map(([, , error]) => error),
}));

/** Every choice there is. */
function* allPaths(groups: readonly CandidateList[]): Generator<number[]> {
  const [first, ...rest] = groups;
  if (first === undefined) return yield [];
  for (let k = 0; k < first.error.length; k++) {
    for (const path of allPaths(rest)) yield [k, ...path];
  }
}

/** The definition, written out once more. */
function costByHand(groups: readonly CandidateList[], path: number[], weight: number): number {
  const chosen = groups.map(({ scale, zero_point, error }, g) => ({
    scale: scale[path[g]!]!,
    zero_point: zero_point[path[g]!]!,
    error: error[path[g]!]!,
  }));
  let cost = 0;
  for (const [g, { scale, zero_point, error }] of chosen.entries()) {
    cost += error;
    const left = chosen[g - 1];
    if (left === undefined) continue;
    cost += weight * Math.abs(scale - left.scale) / left.scale;
    cost += weight * Math.abs(zero_point - left.zero_point) / 3;
  }
  return cost;
}

Deno.test("optimizePath() costs as little as the best of all choices", () => {
  fc.assert(
    fc.property(
      fc.array(candidates, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(0, 0.1, 1, 7),
      (groups, weight) => {
        const { path, cost } = optimizePath(groups, 2, weight);
        const least = [...allPaths(groups)].reduce(
          (best, other) => Math.min(best, costByHand(groups, other, weight)),
          Infinity,
        );
        assert.ok(Math.abs(cost - least) <= 1e-9 * Math.max(1, least), `${cost}, best ${least}`);
        const ofPath = costByHand(groups, path, weight);
        assert.ok(Math.abs(ofPath - cost) <= 1e-9 * Math.max(1, cost), `${ofPath}, said ${cost}`);
        assert.equal(costOfPath(groups, path, 2, weight), cost);
        assert.equal(path.length, groups.length);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("optimizePath() takes each group's best when jumps cost nothing, and one for all when they cost much", () => {
  const group = (...error: number[]) => ({ scale: [0.1, 0.2, 0.4], zero_point: [1, 2, 1], error });
  const groups = [group(1, 2, 3), group(3, 1, 2), group(2, 3, 1)];
  assert.deepEqual(optimizePath(groups, 2, 0), { path: [0, 1, 2], cost: 3 });
  assert.deepEqual(optimizePath(groups, 2, 1000), { path: [0, 0, 0], cost: 6 });
});

Deno.test("optimizePath() takes the first of equal choices", () => {
  const twins = { scale: [0.1, 0.1], zero_point: [1, 1], error: [1, 1] };
  assert.deepEqual(optimizePath([twins, twins, twins], 4, 1).path, [0, 0, 0]);
  assert.deepEqual(optimizePath([], 4, 1), { path: [], cost: 0 });
  // 2 without a jump, or 1 and a jump of 1.
  const left = { scale: [1, 1], zero_point: [0, 3], error: [2, 1] };
  const right = { scale: [1], zero_point: [0], error: [1] };
  assert.deepEqual(optimizePath([left, right], 2, 1), { path: [0, 0], cost: 3 });
});

Deno.test("optimizePath() refuses a negative weight and a group without candidates", () => {
  const one = { scale: [0.1], zero_point: [1], error: [1] };
  const none = { scale: [], zero_point: [], error: [] };
  for (const weight of [-1, NaN, Infinity]) {
    assertBadInput(() => optimizePath([one], 2, weight), `a Markov weight of ${weight}`);
  }
  assertBadInput(() => optimizePath([one, none], 2, 1), "Cannot optimize time group 1");
});
