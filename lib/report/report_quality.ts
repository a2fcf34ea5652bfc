/** How good the model of a run is and what to do: all that follows from the figures of its report. */

import { type Advice, advise, type AdvisedReport, describeAdvice } from "./advise.ts";
import type { Smoothness } from "../params/score_smoothness.ts";
import { type Interpretation, interpretScores } from "./interpret_scores.ts";
import {
  describeQuality,
  type JudgedFigures,
  judgeQuality,
  storedScore,
  type Verdict,
} from "./judge_quality.ts";

/** The verdict on a run, and the next step. */
export interface QualityReport extends Verdict {
  /** What was graded, and what such models were seen to do, in words. */
  reading: string;
  /** What to do next. */
  advice: Advice;
}

/** Judges a report, of whatever version, and advises on what to do. */
export function reportQuality(report: JudgedFigures & AdvisedReport): QualityReport {
  const verdict = judgeQuality(report);
  return { ...verdict, reading: describeQuality(verdict), advice: advise(report, verdict) };
}

/** All that the figures of a report mean, as it says it. */
export function interpretReport(
  report: JudgedFigures & AdvisedReport & Smoothness & { parameter_count: number },
): { quality: QualityReport; interpretation: Interpretation } {
  const quality = reportQuality(report);
  const { bit_width, parameter_count } = report;
  const words = interpretScores(report, storedScore(report), bit_width, parameter_count);
  return { quality, interpretation: { ...words, next_step: describeAdvice(quality.advice) } };
}
