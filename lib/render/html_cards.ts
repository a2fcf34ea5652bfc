/** The cards of a page's dashboard: the figures that come first. */

import {
  formatBytes,
  formatCount,
  formatDecibel,
  formatScore,
} from "../../templates/client/format.js";
import type { Comparison, Direction } from "../report/comparison.ts";
import type { Report } from "../report/build_report.ts";
import { formatDifference } from "./format_figure.ts";
import { judgeQuality, storedScore } from "../report/judge_quality.ts";
import type { ActivationsReport } from "../report/report_activations.ts";
import { countRough } from "../report/rank_damage.ts";
import { type Grade, gradeScore, gradeViolations } from "../report/grades.ts";

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
  /** The baseline's figure, and how this one moved against it. */
  change: { baseline: string; difference: string; direction: Direction } | null;
}

/** How the figures of the cards are shown. */
const FORMATS = {
  smoothness_score: formatScore,
  violation_count: formatCount,
  cosine_similarity: formatScore,
  sqnr_db: formatDecibel,
  output_sqnr_db: formatDecibel,
  activation_sqnr_db: formatDecibel,
  activation_smoothness_score: formatScore,
  compression_ratio: (value: number) => `${value.toFixed(2)}x`,
  model_size_mb: (value: number) => formatBytes(Math.round(value * 1e6)),
  quantization_time_s: (value: number) => `${value.toFixed(2)} s`,
} satisfies { [Key in keyof Report]?: (value: number) => string };

type CardMetric = keyof typeof FORMATS;

/** The cards of a report. */
export function listCards(report: Report, comparison: Comparison | undefined): Card[] {
  const card = (
    label: string,
    metric: CardMetric,
    note: string,
    grade: Grade | null = null,
  ): Card => ({
    label,
    value: showFigure(metric, report[metric] ?? null),
    note,
    grade,
    change: showChange(metric, comparison),
  });
  const { violation_count: count, interpretation, backend, layers } = report;
  const { quality, smoothness, inputs } = judgeQuality(report);
  const isMeasured = quality.measure === "outputs";
  const stored = storedScore(report);
  const score = card("Smoothness", "smoothness_score", "score, 1 is smooth");
  return [
    ...isMeasured
      ? [
        card("Output SQNR", "output_sqnr_db", "what the model does follows it", quality.grade),
        card("SQNR", "sqnr_db", "of the weights, lower when compensated"),
      ]
      : [card("SQNR", "sqnr_db", "signal to noise", quality.grade)],
    card("Cosine similarity", "cosine_similarity", "1 is exact"),
    {
      ...score,
      ...smoothness === null
        ? { value: "n/a", note: "one time group has no boundary" }
        : { value: formatScore(stored), grade: gradeScore(stored) },
      ...report.stored_smoothness_score !== undefined && {
        note: `as stored; ${score.value} before zero points were rounded`,
      },
    },
    card(
      "Violations",
      "violation_count",
      `${interpretation.violations}; ${countRough(layers)} of ${layers.length} layers have some`,
      smoothness === null ? null : gradeViolations(count),
    ),
    ...report.activations === undefined ? [] : [
      card(
        "SQNR of activations",
        "activation_sqnr_db",
        `expected of codes of ${report.activations.bits} bits`,
        inputs?.grade ?? null,
      ),
      {
        ...card("Smoothness of activations", "activation_smoothness_score", "over diffusion time"),
        ...gradeInputs(report.activations),
      },
    ],
    card("Compression", "compression_ratio", "whole model"),
    card("Model size", "model_size_mb", "weights on disk"),
    card("Time", "quantization_time_s", `backend ${backend}`),
  ];
}

/** Of parameters as they are stored, as on the card of the weights. */
function gradeInputs(activations: ActivationsReport): Partial<Card> {
  if (activations.boundary_scores.length === 0) {
    return { value: "n/a", note: "one time group has no boundary" };
  }
  const stored = storedScore(activations);
  return {
    value: formatScore(stored),
    grade: gradeScore(stored),
    ...activations.stored_smoothness_score !== undefined && {
      note: `as stored; ${
        formatScore(activations.smoothness_score)
      } before zero points were rounded`,
    },
  };
}

function showChange(metric: CardMetric, comparison: Comparison | undefined): Card["change"] {
  const change = comparison?.metrics.find((one) => one.metric === metric);
  if (change === undefined) return null;
  const { baseline, difference, direction } = change;
  return {
    baseline: showFigure(metric, baseline),
    difference: difference === null ? "" : formatDifference(Number(difference.toPrecision(3))),
    direction,
  };
}

function showFigure(metric: CardMetric, value: number | null): string {
  // Of these figures only the ratios of signal to noise can be null.
  if (value === null) return formatDecibel(null);
  return Number.isNaN(value) ? "missing" : FORMATS[metric](value);
}
