/** The results block for standard output. */

import type { Report } from "../report/build_report.ts";
import type { KeptInput } from "../report/report_activations.ts";
import type { PhaseFigures } from "../report/phase_figures.ts";
import { judgeLayer, storedScore } from "../report/judge_quality.ts";
import { countRough, rankDamage, savedBytes } from "../report/rank_damage.ts";
import { reportQuality } from "../report/report_quality.ts";
import { formatBytes, formatDecibel, formatPercent } from "../../templates/client/format.js";
import { countNouns, escapeText } from "../base/text.ts";

const RULE = "=".repeat(80);

/** Layers listed by their damage. */
const LISTED = 20;

/** Layers named whose inputs were left as they are. */
const KEPT_SHOWN = 4;

/**
 * Renders the results block, line by line as other tools parse it.
 *
 * @param isDetailed Whether the layers that most of the error comes from are listed.
 */
export function renderConsole(report: Report, isDetailed = false): string {
  const score = (value: number | null) => value === null ? "n/a" : value.toFixed(4);
  const { stored_smoothness_score: stored, layers } = report;
  return [
    RULE,
    `${report.phase.toUpperCase()} METRICS ESTABLISHED`,
    RULE,
    "",
    ...renderVerdict(report),
    "",
    ...renderActivations(report),
    "Markov Smoothness Metrics:",
    `  Overall smoothness score: ${score(storedScore(report))}`,
    ...stored === undefined
      ? []
      : [`  Before zero points were rounded: ${score(report.smoothness_score)}`],
    `  Violation count: ${report.violation_count}`,
    `  Layers with violations of their own: ${countRough(layers)} of ${layers.length}`,
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
    `  SQNR of the weights: ${formatDecibel(report.sqnr_db)}`,
    ...report.output_sqnr_db === undefined
      ? []
      : [`  SQNR of the outputs: ${formatDecibel(report.output_sqnr_db)}`],
    `  Compression ratio: ${report.compression_ratio.toFixed(2)}x`,
    `  Model size: ${report.model_size_mb.toFixed(2)} MB`,
    `  Quantization time: ${report.quantization_time_s.toFixed(2)}s`,
    "",
    ...renderChange(report),
    ...isDetailed ? renderDamage(report) : [],
    "Common Violation Patterns:",
    ...report.common_violation_patterns.map((pattern) => `  - ${pattern}`),
    RULE,
    "",
  ].join("\n");
}

/** Quality first, then smoothness, and the worse of the two above them. */
function renderVerdict(report: Report): string[] {
  const { verdict, quality, smoothness, reading } = reportQuality(report);
  return [
    `Verdict: ${verdict.toUpperCase()}`,
    `  Quality: ${quality.grade} (${reading})`,
    smoothness === null
      ? "  Smoothness: not scored (one time group has no boundary)"
      : `  Smoothness: ${smoothness} (score ${storedScore(report).toFixed(4)}, ${
        countNouns(report.violation_count, "violation")
      })`,
  ];
}

/** The quantizers of inputs, over diffusion time; those of weights stand below, over the rows that stand in for it. */
function renderActivations({ activations, num_time_groups }: Report): string[] {
  if (activations === undefined) return [];
  const { bits, range, grouping, timesteps, layers, kept_layers: kept, baseline } = activations;
  const groups = `${countNouns(num_time_groups, "time group")} of ${grouping} ` +
    (grouping === "equal" ? "length" : "boundaries");
  return [
    `Activations over ${countNouns(timesteps.length, "timestep")}, ${bits} bits, ranges ${range}:`,
    `  ${groups}, ${countNouns(layers.length, "layer")}`,
    ...kept.length === 0 ? [] : [
      `  Outlying inputs of ${countNouns(kept.length, "layer")} left as they are: ` +
      describeKept(kept),
    ],
    `  Smoothness score: ${storedScore(activations).toFixed(4)} (phase baseline ${
      baseline.smoothness_score.toFixed(4)
    })`,
    `  Violation count: ${activations.violation_count}`,
    `  Expected SQNR: ${formatDecibel(activations.grouped_sqnr_db)}; one range for all timesteps ` +
    `${formatDecibel(activations.static_sqnr_db)}, one for each ${
      formatDecibel(activations.timestep_sqnr_db)
    }`,
    "",
    "Weights by rows, which stand in for time:",
    "",
  ];
}

/** The first layers whose inputs were left as they are. */
function describeKept(kept: readonly KeptInput[]): string {
  const named = kept.slice(0, KEPT_SHOWN).map(({ name, grouped_sqnr_db }) =>
    `${escapeText(name)} (${formatDecibel(grouped_sqnr_db)})`
  );
  return named.join(", ") +
    (kept.length > KEPT_SHOWN ? `, and ${kept.length - KEPT_SHOWN} more` : "");
}

/** The layers that most of the error comes from. */
function renderDamage({ layers }: Report): string[] {
  const rows = rankDamage(layers).slice(0, LISTED).map((layer) => {
    const { grade, sqnr_db } = judgeLayer(layer);
    const share = layer.error_share === undefined ? "n/a" : formatPercent(layer.error_share);
    return `  ${share.padStart(6)}  ${formatDecibel(sqnr_db).padStart(9)}  ${grade.padEnd(9)}  ` +
      `${formatBytes(Math.max(0, savedBytes(layer))).padStart(9)} saved  ${escapeText(layer.name)}`;
  });
  const more = layers.length - rows.length;
  return [
    "Share of the Error, by Layer:",
    ...rows,
    ...more > 0 ? [`  and ${more} more: the report lists all`] : [],
    "",
  ];
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
