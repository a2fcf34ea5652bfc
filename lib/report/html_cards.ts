/** The cards of a page's dashboard: the figures that come first. */

import {
  formatBytes,
  formatCount,
  formatDecibel,
  formatScore,
} from "../../templates/client/format.js";
import type { Comparison, Direction } from "../gate/comparison.ts";
import type { MetricName } from "../gate/metrics.ts";
import type { Report } from "./build_report.ts";
import { formatDifference } from "./format_figure.ts";
import { type Grade, gradeScore, gradeViolations } from "./interpret_scores.ts";

/** A figure on a card. */
export interface Card {
  /** What it is. */
  label: string;
  /** The figure. */
  value: string;
  /** A few words below it. */
  note: string;
  /** How good it is; `null` where that is not known. */
  grade: Grade | null;
  /** How it moved against a baseline. */
  change: { difference: string; direction: Direction } | null;
}

/** The cards of a report. */
export function listCards(report: Report, comparison: Comparison | undefined): Card[] {
  const card = (
    label: string,
    value: string,
    note: string,
    metric: MetricName | null,
    grade: Grade | null = null,
  ): Card => {
    const change = comparison?.metrics.find((one) => one.metric === metric);
    const difference = change?.difference ?? null;
    const moved = change === undefined ? null : {
      difference: difference === null ? "" : formatDifference(Number(difference.toPrecision(3))),
      direction: change.direction,
    };
    return { label, value, note, grade, change: moved };
  };
  const score = report.smoothness_score;
  const count = report.violation_count;
  return [
    card(
      "Smoothness",
      formatScore(score),
      "score, 1 is smooth",
      "smoothness_score",
      gradeScore(score),
    ),
    card(
      "Violations",
      formatCount(count),
      report.interpretation.violations,
      "violation_count",
      gradeViolations(count),
    ),
    card(
      "Cosine similarity",
      formatScore(report.cosine_similarity),
      "1 is exact",
      "cosine_similarity",
    ),
    card("SQNR", formatDecibel(report.sqnr_db), "signal to noise", "sqnr_db"),
    card(
      "Compression",
      `${report.compression_ratio.toFixed(2)}x`,
      "whole model",
      "compression_ratio",
    ),
    card(
      "Model size",
      formatBytes(Math.round(report.model_size_mb * 1e6)),
      "weights on disk",
      "model_size_mb",
    ),
    card("Time", `${report.quantization_time_s.toFixed(2)} s`, `backend ${report.backend}`, null),
  ];
}
