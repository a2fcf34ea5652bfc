/** What the figures of a report mean, as tables of a page. Only the limits of quality were measured. */

import { formatScore } from "../../templates/client/format.js";
import { countNouns } from "../base/text.ts";
import { type Grade, type GradeLimits, GRADES } from "../report/grades.ts";
import { EXPECTED_SCORES } from "../report/interpret_scores.ts";
import type { Report } from "../report/build_report.ts";

/** A figure's range, what it is called and what to make of it. */
export interface Reading {
  /** The range, in words. */
  range: string;
  /** Its grade, for its color. */
  grade: Grade;
  /** Its name. */
  name: string;
  /** What to make of it. */
  advice: string;
}

/** What figures mean. */
export interface MeaningView {
  /** Ranges of the smoothness score. */
  scores: Reading[];
  /** Ranges of the violation count. */
  counts: Reading[];
  /** What score and violations say together. */
  scenarios: { score: string; violations: string; advice: string }[];
  /** Scores and violations of models of a size and width. */
  expectations: {
    models: string;
    bits: number;
    range: string;
    violations: string;
    isThis: boolean;
  }[];
  /** What phase baseline came to in this run. */
  own: { score: string; violations: string };
  /** Limits of the quality, measured. */
  qualities: { grade: Grade; weights: string; outputs: string; seen: string }[];
}

/** Says what the figures of a report mean. */
export function viewMeaning(report: Report): MeaningView {
  const { smoothness_score, violation_count } = report.baseline ?? report;
  const scored = GRADES.filter(({ score }) => score >= 0);
  return {
    scores: scored.map(({ grade, score }, i) => ({
      range: score > 0 ? `${score.toFixed(2)} or more` : `below ${lastOf(scored, i).score}`,
      grade,
      ...SCORE_ADVICE[grade],
    })),
    counts: scored.map(({ grade, violations: most }, i) => ({
      range: showCounts(i === 0 ? 0 : lastOf(scored, i).violations + 1, most),
      grade,
      ...COUNT_ADVICE[grade],
    })),
    scenarios: SCENARIOS,
    expectations: EXPECTED_SCORES.map(({ models, from, to, bits, range, violations }) => ({
      models,
      bits,
      range: `${range[0].toFixed(2)} to ${range[1].toFixed(2)}`,
      violations: showCounts(...violations),
      isThis: bits === report.bit_width && report.parameter_count >= from &&
        report.parameter_count <= to,
    })),
    own: {
      score: formatScore(smoothness_score),
      violations: countNouns(violation_count, "violation"),
    },
    qualities: GRADES.map(({ grade, weights, outputs, seen }, i) => ({
      grade,
      weights: showDecibels(weights, lastOf(GRADES, i).weights),
      outputs: showDecibels(outputs, lastOf(GRADES, i).outputs),
      seen,
    })),
  };
}

/** The limits of the grade before one of them. */
function lastOf(limits: readonly GradeLimits[], i: number): GradeLimits {
  return limits[Math.max(0, i - 1)]!;
}

function showCounts(from: number, to: number): string {
  if (to === Infinity) return `${from} or more`;
  return from === to ? String(from) : `${from} to ${to}`;
}

function showDecibels(least: number, above: number): string {
  return least === -Infinity ? `below ${above} dB` : `${least} dB or more`;
}

/** What is worse than poor is found of quality alone. */
type Scored = Record<Grade, Pick<Reading, "name" | "advice">>;

const POOR_SCORE = { name: "Poor", advice: "run phase optimize, or with more time groups" };

const SCORE_ADVICE: Scored = {
  excellent: { name: "Excellent", advice: "the phases smooth and optimize are optional" },
  good: { name: "Good", advice: "the target of phase smooth" },
  fair: { name: "Fair", advice: "normal for INT2: go on with phase smooth" },
  poor: POOR_SCORE,
  broken: POOR_SCORE,
};

const MANY_VIOLATIONS = { name: "Poor", advice: "INT4, or phase optimize" };

const COUNT_ADVICE: Scored = {
  excellent: { name: "Perfect", advice: "nothing to do" },
  good: { name: "Normal", advice: "nothing to do" },
  fair: { name: "Concerning", advice: "more time groups" },
  poor: MANY_VIOLATIONS,
  broken: MANY_VIOLATIONS,
};

const SCENARIOS: MeaningView["scenarios"] = [
  { score: "high", violations: "few", advice: "keep it" },
  { score: "high", violations: "many", advice: "few boundaries jump: look at them" },
  {
    score: "low",
    violations: "few",
    advice: "jumps everywhere below the threshold: run phase smooth",
  },
  { score: "low", violations: "many", advice: "run phase optimize, or give codes more bits" },
];
