/** What a page says of violations: those of the mean of all layers, and those of single layers beside them. */

import { formatCount, formatScore } from "../../templates/client/format.js";
import { escapeText } from "../base/text.ts";
import type { Report } from "../report/build_report.ts";

/** Violations in words. */
export interface ViolationsView {
  /** Patterns among the violations of the model. */
  patterns: string[];
  /** Number of violations of the model. */
  violations: string;
  /** Number of violations of its layers. */
  layerViolations: string;
  /** How many layers have violations of their own, of how many. */
  roughLayers: string;
}

/** Puts the violations of a report into words. */
export function viewViolations(report: Report): ViolationsView {
  const { layers } = report;
  return {
    patterns: listPatterns(report),
    violations: formatCount(report.violation_count),
    layerViolations: formatCount(
      layers.reduce((sum, { violation_count }) => sum + violation_count, 0),
    ),
    roughLayers: countRough(layers),
  };
}

function listPatterns(report: Report): string[] {
  const { boundary_scores, min_boundary_score } = report;
  const words = [...report.common_violation_patterns];
  if (min_boundary_score !== null) {
    const b = boundary_scores.indexOf(min_boundary_score);
    words.push(`Roughest boundary: ${b} to ${b + 1}, score ${formatScore(min_boundary_score)}`);
  }
  return words;
}

/** `3 of 21 layers have violations of their own; the roughest is mlp.fc1, score 0.6000` */
function countRough(layers: Report["layers"]): string {
  const rough = layers.filter(({ violation_count }) => violation_count > 0);
  const all = `${formatCount(layers.length)} ${layers.length === 1 ? "layer" : "layers"}`;
  if (rough.length === 0) return `none of ${all} has violations of its own`;
  const worst = rough.reduce((a, b) => b.smoothness_score < a.smoothness_score ? b : a);
  const words = rough.length === 1
    ? "has violations of its own:"
    : "have violations of their own; the roughest is";
  return `${formatCount(rough.length)} of ${all} ${words} ${escapeText(worst.name)}, ` +
    `score ${formatScore(worst.smoothness_score)}`;
}
