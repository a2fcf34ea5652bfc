/** What scores and violations mean, in words. */

import type { Severity, Smoothness } from "../params/score_smoothness.ts";
import type { Bits, Phase } from "../types.ts";

/** How good a score or a violation count is. */
export type Grade = "excellent" | "good" | "fair" | "poor";

/** The grades, best first: the least score of each, and the most violations. */
export const GRADES: readonly { grade: Grade; from: number; violations: number }[] = [
  { grade: "excellent", from: 0.9, violations: 0 },
  { grade: "good", from: 0.82, violations: 3 },
  { grade: "fair", from: 0.65, violations: 6 },
  { grade: "poor", from: 0, violations: Infinity },
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
  const score = gradeScore(smoothness_score);
  const violations = gradeViolations(violation_count);
  return {
    score: SCORE_WORDS[phase][score],
    violations: VIOLATION_WORDS[phase][violations],
    next_step: RECOMMEND[phase](score, violations, bits),
    expected_score: expectedScore(bits, parameterCount),
  };
}

/** The grade of a score. */
export function gradeScore(score: number): Grade {
  return GRADES.find(({ from }) => score >= from)?.grade ?? "poor";
}

/** The grade of a violation count. */
export function gradeViolations(count: number): Grade {
  return GRADES.find(({ violations }) => count <= violations)?.grade ?? "poor";
}

const SCORE_WORDS: Record<Phase, Record<Grade, string>> = {
  baseline: {
    excellent: "Excellent (no other --phase needed)",
    good: "Good (no --phase smooth needed)",
    fair: "Fair (normal for INT2: try --phase smooth)",
    poor: "Poor (try --phase optimize, or raise --num-time-groups)",
  },
  smooth: {
    excellent: "Excellent (no --phase optimize needed)",
    good: "Good (smooth enough)",
    fair: "Fair (not smooth enough: try --phase optimize)",
    poor: "Poor (try --phase optimize, or raise --num-time-groups)",
  },
  optimize: {
    excellent: "Excellent (more than smooth enough)",
    good: "Good (smooth enough)",
    fair: "Fair (not smooth enough: raise --markov-weight)",
    poor: "Poor (raise --markov-weight or --num-time-groups)",
  },
};

const FEW_VIOLATIONS = {
  excellent: "Perfect",
  good: "Normal",
  fair: "Concerning (raise --num-time-groups)",
};

const VIOLATION_WORDS: Record<Phase, Record<Grade, string>> = {
  baseline: { ...FEW_VIOLATIONS, poor: "Poor (raise --bit-width, or try --phase optimize)" },
  smooth: { ...FEW_VIOLATIONS, poor: "Poor (raise --bit-width, or try --phase optimize)" },
  optimize: { ...FEW_VIOLATIONS, poor: "Poor (raise --bit-width or --markov-weight)" },
};

/** The next step from the grades of score and violations, and the width of a code. */
const RECOMMEND: Record<Phase, (score: Grade, violations: Grade, bits: Bits) => string> = {
  baseline: recommendAfterBaseline,
  smooth: recommendAfterSmooth,
  optimize: recommendAfterOptimize,
};

function recommendAfterBaseline(score: Grade, violations: Grade, bits: Bits): string {
  if (violations === "poor") {
    return bits === 2 ? "Try --bit-width 4, or --phase optimize" : "Try --phase optimize";
  }
  if (score === "poor") return "Try --phase optimize, or raise --num-time-groups";
  if (violations === "fair") return "Raise --num-time-groups";
  if (score === "fair") return "Try --phase smooth";
  return "Keep this report as the baseline to compare later runs with";
}

function recommendAfterSmooth(score: Grade, violations: Grade, bits: Bits): string {
  if (violations === "poor" && bits === 2) return "Try --bit-width 4, or --phase optimize";
  if (isLow(violations)) return "Try --phase optimize, or raise --smoothing-window";
  if (score === "poor") return "Try --phase optimize, or raise --num-time-groups";
  if (score === "fair") return "Try --phase optimize";
  return "Keep this report to compare later runs with, or try --phase optimize for a lower error";
}

/** No phase is left: other settings are. */
function recommendAfterOptimize(score: Grade, violations: Grade, bits: Bits): string {
  if (isLow(violations) || isLow(score)) {
    return "Raise --markov-weight, or smooth as well with --smoothing-window";
  }
  const keep = "Keep this report to compare later runs with";
  if (bits === 8) return keep;
  return `${keep}; for a lower error try --bit-width ${2 * bits}, or raise --num-time-groups`;
}

/** Whether a grade asks for something to be done. */
function isLow(grade: Grade): boolean {
  return grade === "fair" || grade === "poor";
}

function expectedScore(bits: Bits, parameterCount: number): [number, number] | null {
  const seen = EXPECTED_SCORES.find((one) =>
    one.bits === bits && parameterCount >= one.from && parameterCount <= one.to
  );
  return seen ? [...seen.range] : null;
}
