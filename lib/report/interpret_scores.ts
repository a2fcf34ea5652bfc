/** What scores and violations mean, in words. */

import type { Severity, Smoothness } from "../params/score_smoothness.ts";
import type { Bits, Phase } from "../types.ts";

/** How good a score is. */
export type Grade = "excellent" | "good" | "baseline" | "poor";

/** The grades, best first, and the least score of each. */
export const GRADES: readonly { grade: Grade; from: number }[] = [
  { grade: "excellent", from: 0.9 },
  { grade: "good", from: 0.82 },
  { grade: "baseline", from: 0.65 },
  { grade: "poor", from: 0 },
];

/** Scores seen on models of a size and width. */
export interface ExpectedScore {
  /** The models, in words. */
  models: string;
  /** Parameters of the smallest such model. */
  from: number;
  /** Parameters of the largest such model. */
  to: number;
  /** Width of a code. */
  bits: Bits;
  /** Least and largest score seen. */
  range: [number, number];
}

/** Scores seen: Dream 7B at every width; models below 3 B and above 10 B parameters at 2 bits. */
export const EXPECTED_SCORES: readonly ExpectedScore[] = [
  { models: "below 3 B", from: 0, to: 3e9 - 1, bits: 2, range: [0.7, 0.8] },
  { models: "3 B to 10 B (Dream 7B)", from: 3e9, to: 1e10, bits: 2, range: [0.65, 0.78] },
  { models: "3 B to 10 B (Dream 7B)", from: 3e9, to: 1e10, bits: 4, range: [0.75, 0.85] },
  { models: "3 B to 10 B (Dream 7B)", from: 3e9, to: 1e10, bits: 8, range: [0.85, 0.95] },
  { models: "above 10 B", from: 1e10 + 1, to: Infinity, bits: 2, range: [0.6, 0.75] },
];

/** A reading of the figures and the step it suggests. */
export interface Interpretation {
  /** Reading of the smoothness score. */
  score: string;
  /** Reading of the violation count. */
  violations: string;
  /** What to do next. */
  next_step: string;
  /** Score seen on models of this size and width, [least, most]; `null` where none is known. */
  expected_score: [number, number] | null;
}

/** Patterns among violations: their severities, where they lie, how large they are. */
export function describePatterns({ violations, boundary_scores }: Smoothness): string[] {
  if (violations.length === 0) return ["No violations detected - excellent smoothness"];
  const lines: string[] = [];
  for (const severity of ["high", "medium", "low"] satisfies Severity[]) {
    const count = violations.filter((violation) => violation.severity === severity).length;
    if (count === 0) continue;
    const share = ((100 * count) / violations.length).toFixed(1);
    const word = severity[0]!.toUpperCase() + severity.slice(1);
    lines.push(`${word} severity violations: ${count} (${share}%)`);
  }
  const places = violations.map(({ boundary_idx }) => boundary_idx);
  lines.push(`Violations at boundaries: [${places.join(", ")}]`);
  // The middle boundary of an odd number lies in neither half.
  const middle = (boundary_scores.length - 1) / 2;
  if (places.every((place) => place < middle)) {
    lines.push("Violations cluster at early boundaries");
  } else if (places.every((place) => place > middle)) {
    lines.push("Violations cluster at late boundaries");
  }
  const jumps = violations.map(({ scale_jump }) => scale_jump);
  const largest = jumps.reduce((a, b) => Math.max(a, b));
  const mean = jumps.reduce((a, b) => a + b) / jumps.length;
  const percent = (value: number) => `${(100 * value).toFixed(1)}%`;
  lines.push(`Scale jumps: max=${percent(largest)}, avg=${percent(mean)}`);
  return lines;
}

/**
 * Reads the figures of a run.
 *
 * @param parameterCount Elements of the model.
 * @param phase The run's: it says what is left to do.
 */
export function interpretScores(
  { smoothness_score, violation_count }: Smoothness,
  bits: Bits,
  parameterCount: number,
  phase: Phase,
): Interpretation {
  return {
    score: SCORE_WORDS[phase][gradeScore(smoothness_score)],
    violations: VIOLATION_WORDS[phase][gradeViolations(violation_count)],
    next_step: RECOMMEND[phase](smoothness_score, violation_count, bits),
    expected_score: expectedScore(bits, parameterCount),
  };
}

/** The grade of a score. */
export function gradeScore(score: number): Grade {
  return GRADES.find(({ from }) => score >= from)?.grade ?? "poor";
}

const SCORE_WORDS: Record<Phase, Record<Grade, string>> = {
  baseline: {
    excellent: "Excellent (phases 2 and 3 optional)",
    good: "Good (phase 2 target achieved)",
    baseline: "Baseline (normal for INT2, go on to phase 2)",
    poor: "Poor (phase 3, or more time groups)",
  },
  smooth: {
    excellent: "Excellent (phase 3 optional)",
    good: "Good (phase 2 target achieved)",
    baseline: "Baseline level (phase 2 target missed, go on to phase 3)",
    poor: "Poor (phase 3, or more time groups)",
  },
  optimize: {
    excellent: "Excellent (well above the phase 2 target)",
    good: "Good (phase 2 target achieved)",
    baseline: "Baseline level (phase 2 target missed, a larger Markov weight)",
    poor: "Poor (a larger Markov weight, or more time groups)",
  },
};

/** The grade of a violation count. */
export function gradeViolations(count: number): Grade {
  return count === 0 ? "excellent" : count <= 3 ? "good" : count <= 6 ? "baseline" : "poor";
}

const FEW_VIOLATIONS = {
  excellent: "Perfect",
  good: "Normal",
  baseline: "Concerning (more time groups)",
};

const VIOLATION_WORDS: Record<Phase, Record<Grade, string>> = {
  baseline: { ...FEW_VIOLATIONS, poor: "Poor (INT4 or phase 3)" },
  smooth: { ...FEW_VIOLATIONS, poor: "Poor (INT4 or phase 3)" },
  optimize: { ...FEW_VIOLATIONS, poor: "Poor (INT4 or a larger Markov weight)" },
};

/** The next step from score, number of violations and width of a code. */
const RECOMMEND: Record<Phase, (score: number, violations: number, bits: Bits) => string> = {
  baseline: recommendAfterBaseline,
  smooth: recommendAfterSmooth,
  optimize: recommendAfterOptimize,
};

function recommendAfterBaseline(score: number, violations: number, bits: Bits): string {
  if (violations > 6) {
    return bits === 2
      ? "Try --bit-width 4, or optimize the transitions (phase 3)"
      : "Optimize the transitions (phase 3)";
  }
  if (score < 0.65) return "Optimize the transitions (phase 3), or raise --num-time-groups";
  if (violations > 3) return "Raise --num-time-groups";
  if (score < 0.82) return "Smooth the boundaries (phase 2)";
  return "Keep this report as the baseline to compare later runs with";
}

function recommendAfterSmooth(score: number, violations: number, bits: Bits): string {
  if (violations > 6 && bits === 2) {
    return "Try --bit-width 4, or optimize the transitions (phase 3)";
  }
  if (violations > 3) return "Optimize the transitions (phase 3), or raise --smoothing-window";
  if (score < 0.65) return "Optimize the transitions (phase 3), or raise --num-time-groups";
  if (score < 0.82) return "Optimize the transitions (phase 3)";
  return "Keep this report to compare later runs with, or try --phase optimize for a lower error";
}

/** No phase is left: other settings are. */
function recommendAfterOptimize(score: number, violations: number, bits: Bits): string {
  if (violations > 3 || score < 0.82) {
    return "Raise --markov-weight, or smooth as well with --smoothing-window";
  }
  const keep = "Keep this report to compare later runs with";
  if (bits === 8) return keep;
  return `${keep}; for a lower error try --bit-width ${2 * bits} or more time groups`;
}

function expectedScore(bits: Bits, parameterCount: number): [number, number] | null {
  const seen = EXPECTED_SCORES.find((one) =>
    one.bits === bits && parameterCount >= one.from && parameterCount <= one.to
  );
  return seen ? [...seen.range] : null;
}
