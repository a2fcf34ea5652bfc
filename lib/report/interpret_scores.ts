/** What scores and violations mean, in words. */

import type { Severity, Smoothness } from "../params/score_smoothness.ts";
import type { Bits } from "../types.ts";
import { type Grade, gradeScore, gradeViolations } from "./grades.ts";

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
  /** Least and largest number of violations that is typical. */
  violations: [number, number];
}

/** Scores seen: Dream 7B at every width; models below 3 B and above 10 B parameters at 2 bits. */
export const EXPECTED_SCORES: readonly ExpectedScore[] = [
  { models: "below 3 B", from: 0, to: 3e9 - 1, bits: 2, range: [0.7, 0.8], violations: [2, 4] },
  {
    models: "3 B to 10 B (Dream 7B)",
    from: 3e9,
    to: 1e10,
    bits: 2,
    range: [0.65, 0.78],
    violations: [3, 5],
  },
  {
    models: "3 B to 10 B (Dream 7B)",
    from: 3e9,
    to: 1e10,
    bits: 4,
    range: [0.75, 0.85],
    violations: [1, 3],
  },
  {
    models: "3 B to 10 B (Dream 7B)",
    from: 3e9,
    to: 1e10,
    bits: 8,
    range: [0.85, 0.95],
    violations: [0, 1],
  },
  {
    models: "above 10 B",
    from: 1e10 + 1,
    to: Infinity,
    bits: 2,
    range: [0.6, 0.75],
    violations: [4, 6],
  },
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
  if (boundary_scores.length === 0) return ["No boundaries: there is one time group"];
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
 * Reads the figures of a run; with one time group there is no boundary, and nothing to read.
 *
 * @param score The score of the parameters as they are stored.
 * @param parameterCount Elements of the model.
 */
export function interpretScores(
  { violation_count, boundary_scores }: Pick<Smoothness, "violation_count" | "boundary_scores">,
  score: number,
  bits: Bits,
  parameterCount: number,
): Omit<Interpretation, "next_step"> {
  const isScored = boundary_scores.length > 0;
  return {
    score: isScored ? SCORE_WORDS[gradeScore(score)] : UNSCORED,
    violations: isScored ? VIOLATION_WORDS[gradeViolations(violation_count)] : UNSCORED,
    expected_score: isScored ? expectedScore(bits, parameterCount) : null,
  };
}

const UNSCORED = "Not scored (one time group has no boundary)";

/** What is worse than poor is found of quality alone. */
const SCORE_WORDS: Record<Grade, string> = {
  excellent: "Excellent (smooth)",
  good: "Good (smooth enough)",
  fair: "Fair (normal for INT2)",
  poor: "Poor (parameters jump)",
  broken: "Poor (parameters jump)",
};

const VIOLATION_WORDS: Record<Grade, string> = {
  excellent: "Perfect",
  good: "Normal",
  fair: "Concerning",
  poor: "Poor",
  broken: "Poor",
};

function expectedScore(bits: Bits, parameterCount: number): [number, number] | null {
  const seen = EXPECTED_SCORES.find((one) =>
    one.bits === bits && parameterCount >= one.from && parameterCount <= one.to
  );
  return seen ? [...seen.range] : null;
}
