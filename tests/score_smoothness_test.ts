import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { BadInputError } from "../lib/base/errors.ts";
import { FLAGS } from "../lib/cli/flags.ts";
import { describePatterns, interpretScores } from "../lib/report/interpret_scores.ts";
import { PHASES, WIDTHS } from "../lib/settings/settings.ts";
import type { Phase } from "../lib/types.ts";
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
  const read = (smoothness_score: number, violation_count = 0) =>
    interpretScores(
      { smoothness_score, violation_count, violations: [], boundary_scores: [] },
      2,
      1e9,
      "baseline",
    );
  const words = (text: string) => text.split(" ")[0];
  const scores: [number, string][] = [
    [1, "Excellent"],
    [0.9, "Excellent"],
    [0.8999, "Good"],
    [0.82, "Good"],
    [0.8199, "Fair"],
    [0.65, "Fair"],
    [0.6499, "Poor"],
  ];
  for (const [score, word] of scores) assert.equal(words(read(score).score), word);
  const counts: [number, string][] = [
    [0, "Perfect"],
    [1, "Normal"],
    [3, "Normal"],
    [4, "Concerning"],
    [6, "Concerning"],
    [7, "Poor"],
  ];
  for (const [count, word] of counts) assert.equal(words(read(0.9, count).violations), word);
});

Deno.test("interpretScores() knows the scores expected for a size and width", () => {
  const smooth = scoreJumps([]);
  const expected = (bits: 2 | 4 | 8, parameters: number) =>
    interpretScores(smooth, bits, parameters, "baseline").expected_score;
  assert.deepEqual(expected(2, 1e9), [0.7, 0.8]);
  assert.deepEqual(expected(2, 7e9), [0.65, 0.78]);
  assert.deepEqual(expected(4, 7e9), [0.75, 0.85]);
  assert.deepEqual(expected(8, 7e9), [0.85, 0.95]);
  assert.deepEqual(expected(2, 2e10), [0.6, 0.75]);
  assert.equal(expected(4, 1e9), null);
});

Deno.test("interpretScores() names the step that is left when the run is of a phase", () => {
  const read = (phase: Phase, score: number, violation_count = 0, bits: 2 | 4 | 8 = 2) =>
    interpretScores(
      { smoothness_score: score, violation_count, violations: [], boundary_scores: [] },
      bits,
      1e9,
      phase,
    );
  const keep = "Keep this report to compare later runs with";
  const smoothToo = "Raise --markov-weight, or smooth as well with --smoothing-window";
  const cases: [Parameters<typeof read>, string][] = [
    [["baseline", 0.95], "Keep this report as the baseline to compare later runs with"],
    [["baseline", 0.82, 3], "Keep this report as the baseline to compare later runs with"],
    [["baseline", 0.7], "Try --phase smooth"],
    [["baseline", 0.7, 4], "Raise --num-time-groups"],
    [["baseline", 0.6, 4], "Try --phase optimize, or raise --num-time-groups"],
    [["baseline", 0.5, 7], "Try --bit-width 4, or --phase optimize"],
    [["baseline", 0.5, 7, 4], "Try --phase optimize"],
    [["smooth", 0.95], `${keep}, or try --phase optimize for a lower error`],
    [["smooth", 0.7], "Try --phase optimize"],
    [["smooth", 0.6], "Try --phase optimize, or raise --num-time-groups"],
    [["smooth", 0.9, 4], "Try --phase optimize, or raise --smoothing-window"],
    [["smooth", 0.5, 7], "Try --bit-width 4, or --phase optimize"],
    [["smooth", 0.5, 7, 4], "Try --phase optimize, or raise --smoothing-window"],
    [
      ["optimize", 0.95],
      `${keep}; for a lower error try --bit-width 4, or raise --num-time-groups`,
    ],
    [["optimize", 0.95, 0, 8], keep],
    [["optimize", 0.8], smoothToo],
    [["optimize", 0.9, 4], smoothToo],
  ];
  for (const [args, step] of cases) assert.equal(read(...args).next_step, step, args.join(" "));
});

Deno.test("interpretScores() reads a score in words that fit the run's phase", () => {
  const read = (phase: Phase) =>
    [0.9, 0.82, 0.65, 0.5].map((smoothness_score) =>
      interpretScores(
        { smoothness_score, violation_count: 0, violations: [], boundary_scores: [] },
        2,
        1e9,
        phase,
      ).score
    );
  assert.deepEqual(read("baseline"), [
    "Excellent (no other --phase needed)",
    "Good (no --phase smooth needed)",
    "Fair (normal for INT2: try --phase smooth)",
    "Poor (try --phase optimize, or raise --num-time-groups)",
  ]);
  assert.deepEqual(read("smooth"), [
    "Excellent (no --phase optimize needed)",
    "Good (smooth enough)",
    "Fair (not smooth enough: try --phase optimize)",
    "Poor (try --phase optimize, or raise --num-time-groups)",
  ]);
  assert.deepEqual(read("optimize"), [
    "Excellent (more than smooth enough)",
    "Good (smooth enough)",
    "Fair (not smooth enough: raise --markov-weight)",
    "Poor (raise --markov-weight or --num-time-groups)",
  ]);
});

Deno.test("interpretScores() advises flags that quantizing takes when it advises any", () => {
  const known = FLAGS.filter(({ commands }) => commands.includes("quantize"));
  const found = new Set<string>();
  for (const phase of PHASES) {
    for (const bits of WIDTHS) {
      for (const smoothness_score of [0.95, 0.85, 0.7, 0.5]) {
        for (const violation_count of [0, 2, 5, 9]) {
          const { score, violations, next_step } = interpretScores(
            { smoothness_score, violation_count, violations: [], boundary_scores: [] },
            bits,
            1e9,
            phase,
          );
          const text = `${score} ${violations} ${next_step}`;
          assert.doesNotMatch(text, /phases? [0-9]/);
          // Who has optimized has no phase left to try.
          if (phase === "optimize") assert.doesNotMatch(text, /--phase/);
          for (const [flag] of text.matchAll(/--[a-z-]+/g)) found.add(flag.slice(2));
        }
      }
    }
  }
  for (const flag of found) assert.ok(known.some(({ name }) => name === flag), flag);
  assert.deepEqual([...found].sort(), [
    "bit-width",
    "markov-weight",
    "num-time-groups",
    "phase",
    "smoothing-window",
  ]);
});
