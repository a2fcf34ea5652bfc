import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { BadInputError } from "../lib/base/errors.ts";
import { describePatterns, interpretScores } from "../lib/report/interpret_scores.ts";
import {
  measureJumps,
  scoreJumps,
  scoreSmoothness,
  weightJumps,
} from "../lib/params/score_smoothness.ts";

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}, expected ${expected}`);

const jump = (scale_jump: number, zero_point_jump = 0) => ({ scale_jump, zero_point_jump });

Deno.test("measureJumps() is relative to the left scale and to qmax", () => {
  const groups = [{ scale: 2, zero_point: 1 }, { scale: 3, zero_point: 3 }, {
    scale: 1.5,
    zero_point: 0,
  }];
  const jumps = measureJumps(groups, 2);
  near(jumps[0]!.scale_jump, 0.5);
  near(jumps[0]!.zero_point_jump, 2 / 3);
  near(jumps[1]!.scale_jump, 0.5);
  near(jumps[1]!.zero_point_jump, 1);
  near(measureJumps(groups, 8)[0]!.zero_point_jump, 2 / 255);
});

Deno.test("measureJumps() refuses a scale that is not above 0", () => {
  for (const scale of [0, -1, NaN, Infinity]) {
    assert.throws(() => measureJumps([{ scale, zero_point: 0 }], 4), BadInputError);
  }
});

Deno.test("scoreJumps() takes the mean cost off 1 and bounds it at 0", () => {
  near(scoreJumps([jump(0.4, 0.2), jump(0.2)]).smoothness_score, 0.8);
  assert.deepEqual(scoreJumps([jump(3), jump(0.2)]).boundary_scores, [0, 0.9]);
  near(scoreJumps([jump(3), jump(0.2)]).smoothness_score, 1 - 3.2 / 4);
  assert.equal(scoreJumps([jump(9)]).smoothness_score, 0);
});

Deno.test("scoreJumps() gives 1 when there is one group", () => {
  assert.deepEqual(scoreJumps([]), {
    smoothness_score: 1,
    violation_count: 0,
    violations: [],
    boundary_scores: [],
  });
});

Deno.test("scoreJumps() names a violation only above the threshold, its severity by the jump alone", () => {
  const { violations } = scoreJumps([jump(0.3), jump(0.31), jump(0.5), jump(0.51)], 0.3);
  assert.deepEqual(
    violations.map(({ boundary_idx, severity }) => [boundary_idx, severity]),
    [[1, "medium"], [2, "medium"], [3, "high"]],
  );
  assert.equal(scoreJumps([jump(0.2)], 0.1).violations[0]?.severity, "low");
});

Deno.test("weightJumps() weights layers by their elements", () => {
  const layers = [{ jumps: [jump(0.1, 0.3)], elements: 300 }, {
    jumps: [jump(0.5)],
    elements: 100,
  }];
  const [mean] = weightJumps(layers);
  near(mean!.scale_jump, 0.2);
  near(mean!.zero_point_jump, 0.225);
});

Deno.test("scoreSmoothness() is 1 for equal groups and never leaves 0 to 1", () => {
  const group = fc.record({
    scale: fc.double({ min: 1e-30, max: 1e30, noNaN: true }),
    zero_point: fc.integer({ min: 0, max: 15 }),
  });
  fc.assert(
    fc.property(fc.array(group, { minLength: 1, maxLength: 9 }), (groups) => {
      const { smoothness_score, boundary_scores } = scoreSmoothness(groups, 4);
      assert.ok(smoothness_score >= 0 && smoothness_score <= 1);
      assert.equal(boundary_scores.length, groups.length - 1);
      assert.equal(scoreSmoothness(groups.map(() => groups[0]!), 4).smoothness_score, 1);
    }),
    { seed: 7 },
  );
});

Deno.test("describePatterns() says the same as the design's example", () => {
  const smoothness = scoreJumps([jump(0.58), jump(0.1), jump(0.35)]);
  assert.deepEqual(describePatterns(smoothness), [
    "High severity violations: 1 (50.0%)",
    "Medium severity violations: 1 (50.0%)",
    "Violations at boundaries: [0, 2]",
    "Scale jumps: max=58.0%, avg=46.5%",
  ]);
  assert.deepEqual(describePatterns(scoreJumps([jump(0.1)])), [
    "No violations detected - excellent smoothness",
  ]);
});

Deno.test("describePatterns() finds clusters in a half, and none in the middle", () => {
  const at = (count: number, ...places: number[]) =>
    describePatterns(
      scoreJumps(Array.from({ length: count }, (_, b) => jump(places.includes(b) ? 0.4 : 0))),
    ).find((line) => line.startsWith("Violations cluster"));
  assert.equal(at(4, 0, 1), "Violations cluster at early boundaries");
  assert.equal(at(4, 2), "Violations cluster at late boundaries");
  assert.equal(at(4, 1, 2), undefined);
  assert.equal(at(3, 1), undefined);
  assert.equal(at(3, 0), "Violations cluster at early boundaries");
  assert.equal(at(1, 0), undefined);
});

Deno.test("interpretScores() reads scores and counts at each edge", () => {
  const read = (score: number, violation_count = 0) =>
    interpretScores({ violation_count, boundary_scores: [score] }, score, 2, 1e9);
  const scores: [number, string][] = [
    [1, "Excellent (smooth)"],
    [0.9, "Excellent (smooth)"],
    [0.8999, "Good (smooth enough)"],
    [0.82, "Good (smooth enough)"],
    [0.8199, "Fair (normal for INT2)"],
    [0.65, "Fair (normal for INT2)"],
    [0.6499, "Poor (parameters jump)"],
    [0, "Poor (parameters jump)"],
  ];
  for (const [score, words] of scores) assert.equal(read(score).score, words);
  const counts: [number, string][] = [
    [0, "Perfect"],
    [1, "Normal"],
    [3, "Normal"],
    [4, "Concerning"],
    [6, "Concerning"],
    [7, "Poor"],
  ];
  for (const [count, word] of counts) assert.equal(read(0.9, count).violations, word);
});

Deno.test("interpretScores() praises nothing where there is no boundary", () => {
  const none = scoreJumps([]);
  const words = "Not scored (one time group has no boundary)";
  assert.deepEqual(interpretScores(none, none.smoothness_score, 2, 7e9), {
    score: words,
    violations: words,
    expected_score: null,
  });
  assert.deepEqual(describePatterns(none), ["No boundaries: there is one time group"]);
});

Deno.test("interpretScores() knows the scores expected for a size and width", () => {
  const smooth = scoreJumps([{ scale_jump: 0, zero_point_jump: 0 }]);
  const expected = (bits: 2 | 4 | 8, parameters: number) =>
    interpretScores(smooth, 1, bits, parameters).expected_score;
  assert.deepEqual(expected(2, 1e9), [0.7, 0.8]);
  assert.deepEqual(expected(2, 7e9), [0.65, 0.78]);
  assert.deepEqual(expected(4, 7e9), [0.75, 0.85]);
  assert.deepEqual(expected(8, 7e9), [0.85, 0.95]);
  assert.deepEqual(expected(2, 2e10), [0.6, 0.75]);
  assert.equal(expected(4, 1e9), null);
});
