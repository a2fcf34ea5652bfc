/** The results block for standard output. */

import type { Report } from "../report/build_report.ts";
import type { PhaseFigures } from "../report/phase_figures.ts";

const RULE = "=".repeat(80);

/** Renders the results block, line by line as other tools parse it. */
export function renderConsole(report: Report): string {
  const score = (value: number | null) => value === null ? "n/a" : value.toFixed(4);
  return [
    RULE,
    `${report.phase.toUpperCase()} METRICS ESTABLISHED`,
    RULE,
    "",
    "Markov Smoothness Metrics:",
    `  Overall smoothness score: ${score(report.smoothness_score)}`,
    `  Violation count: ${report.violation_count}`,
    `  Smoothness threshold: ${report.smoothness_threshold}`,
    "",
    "Boundary Score Statistics:",
    `  Min: ${score(report.min_boundary_score)}`,
    `  Max: ${score(report.max_boundary_score)}`,
    `  Mean: ${score(report.mean_boundary_score)}`,
    `  Std: ${score(report.std_boundary_score)}`,
    `  Total boundaries: ${report.boundary_scores.length}`,
    "",
    "Quantization Quality:",
    `  Cosine similarity: ${score(report.cosine_similarity)}`,
    `  Compression ratio: ${report.compression_ratio.toFixed(2)}x`,
    `  Model size: ${report.model_size_mb.toFixed(2)} MB`,
    `  Quantization time: ${report.quantization_time_s.toFixed(2)}s`,
    "",
    ...renderChange(report),
    "Common Violation Patterns:",
    ...report.common_violation_patterns.map((pattern) => `  - ${pattern}`),
    RULE,
    "",
  ].join("\n");
}

/** What the phase changed against the baseline of the same run; nothing where it is the phase. */
function renderChange({ baseline, change, ...found }: Report): string[] {
  if (baseline === undefined || change === undefined) return [];
  const line = (label: string, key: keyof PhaseFigures, digits: number, unit = "") => {
    const show = (value: number | null | undefined) =>
      value === null || value === undefined ? "n/a" : `${value.toFixed(digits)}${unit}`;
    const moved = change[key];
    return `  ${label}: ${show(baseline[key])} -> ${show(found[key])} ` +
      `(${moved === null || moved === undefined ? "n/a" : `${showSigned(moved, digits)}${unit}`})`;
  };
  return [
    "Against Baseline (same run):",
    line("Smoothness score", "smoothness_score", 4),
    ...found.stored_smoothness_score === undefined ? [] : [
      `  Smoothness as stored, zero points rounded: ${found.stored_smoothness_score.toFixed(4)}`,
    ],
    line("Violation count", "violation_count", 0),
    line("Cosine similarity", "cosine_similarity", 4),
    line("SQNR", "sqnr_db", 2, " dB"),
    ...baseline.output_sqnr_db === undefined
      ? []
      : [line("Output SQNR, by the calibration", "output_sqnr_db", 2, " dB")],
    line("Model size", "model_size_mb", 2, " MB"),
    "",
  ];
}

/** A number with its sign: -0.00 where it fell by less than is shown. */
function showSigned(value: number, digits: number): string {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(digits)}`;
}
