/** Smoothing, and the score of parameters that move from step to step. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  planTimeGroups,
  type QuantParams,
  scoreSmoothness,
  scoreSteps,
  smoothGroups,
  type SmoothingMethod,
} from "../mod.ts";
import { planWindows, smoothParams } from "../lib/params/smooth_params.ts";
import { storedParams } from "../lib/params/score_track.ts";
import { roundHalfEven } from "../lib/params/estimate_params.ts";
import { assertBadInput } from "./assert_bad_input.ts";

const TWO: QuantParams[] = [{ scale: 1, zero_point: 1 }, { scale: 2, zero_point: 3 }];

/** Shares of the way to the right group over a window of 2, alpha = 1/5 .. 4/5, worked out by hand. */
const SHARES: Record<SmoothingMethod, number[]> = {
  linear: [0.2, 0.4, 0.6, 0.8],
  cubic: [0.104, 0.352, 0.648, 0.896],
  sigmoid: [0.04742587, 0.26894142, 0.73105858, 0.95257413],
};

for (const [method, shares] of Object.entries(SHARES)) {
  Deno.test(`smoothGroups() follows its curve when the method is ${method}`, () => {
    const smoothing = { window: 2, method: method as SmoothingMethod, dtype: "F32" as const };
    const steps = smoothGroups(TWO, [0, 10, 20], smoothing);
    assert.equal(steps.length, 20);
    for (const [step, { scale, zero_point }] of steps.entries()) {
      const share = step < 8 ? 0 : step < 12 ? shares[step - 8]! : 1;
      assert.ok(Math.abs(scale - (1 + share)) < 1e-6, `scale ${scale} of step ${step}`);
      assert.ok(Math.abs(zero_point - (1 + 2 * share)) < 1e-6, `zero point of step ${step}`);
    }
  });
}

Deno.test("smoothParams() rounds scales to the stored dtype and zero points half to even", () => {
  const groups = {
    bands: [0, 4, 8],
    blocks: 2,
    scale: Float32Array.of(1, 0.5, 1.0078125, 0.5),
    zero_point: Uint8Array.of(0, 2, 1, 3),
  };
  const smooth = smoothParams(groups, { window: 1, method: "linear", dtype: "BF16" });
  assert.deepEqual(smooth.bands, [0, 3, 4, 5, 8]);
  // A third and two thirds of the way: the BF16 values next to 1 are 1 and 1.0078125.
  assert.deepEqual([...smooth.scale], [1, 0.5, 1, 0.5, 1.0078125, 0.5, 1.0078125, 0.5]);
  assert.deepEqual([...smooth.zero_point], [0, 2, 0, 2, 1, 3, 1, 3]);
  const middle = smoothParams(
    { ...groups, zero_point: Uint8Array.of(0, 1, 3, 4) },
    { window: 1, method: "linear", dtype: "F32" },
  );
  assert.deepEqual([...middle.exact_zero_point.subarray(2, 6)], [1, 2, 2, 3]);
});

Deno.test("smoothParams() moves the codes' scales as it moves the stored ones", () => {
  const smooth = smoothParams({
    bands: [0, 4, 8],
    blocks: 1,
    scale: Float32Array.of(1, 4),
    code_scale: Float32Array.of(0.5, 2),
    zero_point: Uint8Array.of(1, 1),
  }, { window: 1, method: "linear", dtype: "F32" });
  assert.deepEqual([...smooth.scale], [1, 2, 3, 4]);
  assert.deepEqual([...smooth.code_scale!], [0.5, 1, 1.5, 2]);
});

Deno.test("planWindows() never passes the middle of a group, and leaves out what is empty", () => {
  assert.deepEqual(planWindows([0, 100, 200], 5), [{ from: 95, to: 105 }]);
  assert.deepEqual(planWindows([0, 4, 8], 20), [{ from: 2, to: 6 }]);
  assert.deepEqual(planWindows([0, 5, 10], 20), [{ from: 3, to: 7 }]);
  assert.deepEqual(planWindows([0, 1, 2], 5), []);
  assert.deepEqual(planWindows([0, 2, 3, 9], 5), []);
  assert.deepEqual(planWindows([0, 7], 5), []);
});

Deno.test("planWindows() gives windows that ascend, do not overlap and end at their groups' middles", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 20 }),
    (steps, groups, window) => {
      fc.pre(groups <= steps);
      const starts = planTimeGroups(steps, groups);
      let before = 0;
      for (const { from, to } of planWindows(starts, window)) {
        const boundary = starts.indexOf((from + to) / 2);
        assert.ok(boundary > 0 && boundary < groups);
        assert.ok(from >= before && to - from <= 2 * window);
        assert.ok(from >= (starts[boundary - 1]! + starts[boundary]! - 1) / 2);
        assert.ok(to <= (starts[boundary]! + starts[boundary + 1]!) / 2);
        before = to;
      }
    },
  ));
});

Deno.test("scoreSteps() takes the largest jump between two middles", () => {
  const steps = [1, 1, 1, 1.5, 1.5, 3, 3, 3].map((scale) => ({ scale, zero_point: 1 }));
  const { boundary_scores, violations } = scoreSteps(steps, [0, 4, 8], 2);
  assert.deepEqual(boundary_scores, [0.5]);
  assert.deepEqual(violations, [
    { boundary_idx: 0, scale_jump: 1, zero_point_jump: 0, severity: "high" },
  ]);
  // A jump before the first middle or behind the last one is no boundary's.
  const early = [5, 1, 1, 1, 1, 1, 1, 9].map((scale) => ({ scale, zero_point: 1 }));
  assert.equal(scoreSteps(early, [0, 4, 8], 2).smoothness_score, 1);
});

Deno.test("scoreSteps() counts the first and the last step of windows that fill their groups", () => {
  const groups = [{ scale: 1, zero_point: 1 }, { scale: 4, zero_point: 1 }];
  for (const rows of [4, 5, 10]) {
    for (const ends of [groups, groups.toReversed()]) {
      const boundaries = [0, rows, 2 * rows];
      const smoothing = { window: 20, method: "linear" as const, dtype: "F32" as const };
      const steps = smoothGroups(ends, boundaries, smoothing);
      const jumps = steps.slice(1).map(({ scale }, i) =>
        Math.abs(scale - steps[i]!.scale) / steps[i]!.scale
      );
      const [score] = scoreSteps(steps, boundaries, 2).boundary_scores;
      assert.ok(Math.abs(score! - (1 - Math.max(...jumps) / 2)) < 1e-6, `${rows} rows: ${score}`);
    }
  }
});

Deno.test("scoreSteps() agrees with scoreSmoothness() when groups are constant", () => {
  fc.assert(fc.property(
    fc.array(
      fc.record({
        scale: fc.double({ min: 0.01, max: 10, noNaN: true }),
        zero_point: fc.integer({ min: 0, max: 15 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    fc.integer({ min: 0, max: 30 }),
    (groups, more) => {
      const boundaries = planTimeGroups(2 * groups.length + more, groups.length);
      const steps = groups.flatMap((params, g) =>
        new Array<QuantParams>(boundaries[g + 1]! - boundaries[g]!).fill(params)
      );
      assert.deepEqual(scoreSteps(steps, boundaries, 4), scoreSmoothness(groups, 4));
    },
  ));
});

Deno.test("smoothGroups() never lowers a score while windows stay clear of the groups' middles", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          scale: fc.double({ min: 0.01, max: 10, noNaN: true }).map(Math.fround),
          zero_point: fc.integer({ min: 0, max: 15 }),
        }),
        { minLength: 2, maxLength: 6 },
      ),
      // Groups have 12 steps: a window of 6 ends in the very middle, where a jump counts for two boundaries.
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom<SmoothingMethod>("linear", "cubic", "sigmoid"),
      (groups, window, method) => {
        const boundaries = planTimeGroups(12 * groups.length, groups.length);
        const steps = smoothGroups(groups, boundaries, { window, method, dtype: "F32" });
        const before = scoreSmoothness(groups, 4).smoothness_score;
        const after = scoreSteps(steps, boundaries, 4).smoothness_score;
        assert.ok(after >= before - 1e-6, `${before} -> ${after}`);
      },
    ),
    { numRuns: 2000, seed: 9 },
  );
});

Deno.test("scoreSteps() counts a jump in the very middle of a group for both its boundaries", () => {
  const scales = [0.17816607654094696, 0.0148470439016819, 0.0148470439016819];
  const groups = scales.map((scale) => ({ scale, zero_point: 0 }));
  const score = (window: number) => {
    const smoothing = { window, method: "linear", dtype: "F32" } as const;
    return scoreSteps(smoothGroups(groups, [0, 12, 24, 36], smoothing), [0, 12, 24, 36], 4);
  };
  assert.equal(score(5).boundary_scores[1], 1);
  const [first, second] = score(6).boundary_scores;
  assert.equal(first, second);
  assert.ok(second! < 0.8, `${second}`);
});

Deno.test("storedParams() has the integers that are written", () => {
  const smooth = smoothParams({
    bands: [0, 8, 16],
    blocks: 1,
    scale: Float32Array.of(1, 1),
    zero_point: Uint8Array.of(0, 3),
  }, { window: 3, method: "linear", dtype: "F32" });
  assert.deepEqual(
    [...smooth.zero_point],
    [...smooth.exact_zero_point].map(roundHalfEven),
  );
  assert.equal("exact_zero_point" in storedParams(smooth), false);
});

Deno.test("smoothGroups() and scoreSteps() refuse what does not fit", () => {
  const smooth = (window: number, boundaries: number[]) =>
    smoothGroups(TWO, boundaries, { window, method: "linear", dtype: "F32" });
  for (const window of [0, 21, 2.5, NaN]) {
    assertBadInput(() => smooth(window, [0, 4, 8]), `a window of ${window} steps: from 1 to 20`);
  }
  assertBadInput(() => smooth(5, [0, 8]), "the boundaries are [0,8]");
  assertBadInput(() => smooth(5, [0, 4, 4]), "the boundaries are [0,4,4]");
  assertBadInput(() => scoreSteps(TWO, [0, 1, 3], 2), "must ascend from 0 to 2");
  assertBadInput(() => scoreSteps([], [], 2), "Cannot score 0 steps");
});
