/** The results block for standard output. */

import type { Report } from "./build_report.ts";

const RULE = "=".repeat(80);

/** Renders the results block, line by line as other tools parse it. */
export function renderConsole(report: Report): string {
  const score = (value: number | null) => value === null ? "n/a" : value.toFixed(4);
  return [
    RULE,
    "BASELINE METRICS ESTABLISHED",
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
    "Common Violation Patterns:",
    ...report.common_violation_patterns.map((pattern) => `  - ${pattern}`),
    RULE,
    "",
  ].join("\n");
}
