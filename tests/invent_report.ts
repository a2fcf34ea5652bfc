/** Reports for tests, made from parameters without a model. */

import {
  type BoundaryJump,
  measureJumps,
  scoreJumps,
  type Smoothness,
  weightJumps,
} from "../lib/params/score_smoothness.ts";
import { middlesOf, planPoints } from "../lib/params/plan_points.ts";
import { planTimeGroups } from "../lib/plan/plan_time_groups.ts";
import type { Report } from "../lib/report/build_report.ts";
import type { PhaseFigures } from "../lib/report/phase_figures.ts";
import type { ActivationsReport, LayerActivations } from "../lib/report/report_activations.ts";
import type { LayerReport } from "../lib/report/report_layer.ts";
import type { PhaseSettings } from "../lib/render/describe_phase.ts";
import { describePatterns } from "../lib/report/interpret_scores.ts";
import { interpretReport } from "../lib/report/report_quality.ts";
import { CODE_BINS } from "../lib/types.ts";
import { noise } from "./make_model.ts";

/** What a test may choose. */
export interface ReportParts {
  /** Names of the layers. */
  names: string[];
  /** Time groups. */
  groups?: number;
  /** Changes which values the layers get. */
  seed?: number;
}

/** Names of so many layers. */
export function layerNames(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `model.layers.${Math.floor(i / 4)}.mlp.experts.${i % 4}.w1`,
  );
}

/** A report of layers with these names; the first one jumps at boundary 0. */
export function inventReport({ names, groups = 8, seed = 0 }: ReportParts): Report {
  const layers = names.map((name, i) => inventLayer(name, groups, i + 1000 * seed));
  const jumps = jumpsOf(layers);
  const smoothness = scoreJumps(jumps);
  const report = {
    schema_version: 1,
    tool_version: "0.1.0",
    model_name: "tiny-dit",
    source: "positional",
    phase: "baseline",
    smoothing_window: null,
    smoothing_method: null,
    markov_weight: null,
    backend: "wasm",
    format: "compressed-tensors",
    bit_width: 2,
    symmetric: false,
    modulation: 8,
    num_time_groups: groups,
    granularity: "slice",
    group_size: null,
    smoothness_threshold: 0.3,
    activation_bits: null,
    activation_range: null,
    grouping: null,
    outlier_inputs: null,
    ignore: [],
    default_ignore: true,
    parameter_count: 1_000_000,
    quantized_parameter_count: 900_000,
    bits_per_weight: 3.84,
    ...smoothness,
    boundary_jumps: jumps,
    ...inventStatistics(smoothness),
    cosine_similarity: 0.71,
    sqnr_db: 2.5,
    compression_ratio: 5.25,
    model_size_mb: 0.48,
    quantization_time_s: 0.03,
    common_violation_patterns: describePatterns(smoothness),
    layers,
    skipped: [{ name: "pos_embed", reason: "not a matrix (rank 3)" }],
  } satisfies Omit<Report, "interpretation">;
  return { ...report, ...interpretReport(report) };
}

function inventStatistics({ boundary_scores: scores }: Smoothness) {
  const mean = scores.length === 0 ? null : scores.reduce((a, b) => a + b) / scores.length;
  return {
    min_boundary_score: mean && scores.reduce((a, b) => Math.min(a, b)),
    max_boundary_score: mean && scores.reduce((a, b) => Math.max(a, b)),
    mean_boundary_score: mean,
    std_boundary_score: mean && 0.01,
  };
}

function jumpsOf(layers: readonly LayerReport[]): BoundaryJump[] {
  return weightJumps(
    layers.map(({ boundary_jumps, rows, columns }) => ({
      jumps: boundary_jumps,
      elements: rows * columns,
    })),
  );
}

/** Settings of a run of phase smooth with a window. */
export const SMOOTH: PhaseSettings = {
  phase: "smooth",
  smoothing_window: 3,
  smoothing_method: "cubic",
  markov_weight: null,
};

/** Settings of a run of phase optimize, not smoothed. */
export const OPTIMIZE: PhaseSettings = {
  phase: "optimize",
  smoothing_window: null,
  smoothing_method: null,
  markov_weight: 0.1,
};

/** What another phase would make of a report of phase baseline: smooth less of the jumps, optimize less of the error too. */
export function inventPhase(before: Report, settings: PhaseSettings): Report {
  const { phase, smoothing_window } = settings;
  const gain = phase === "optimize" ? { cosine: 0.04, sqnr: 3 } : { cosine: -0.001, sqnr: -0.05 };
  const layers = before.layers.map((layer): LayerReport => {
    const { scale, zero_point, smoothness_score, violation_count } = layer;
    const { cosine_similarity, sqnr_db } = layer;
    const moved = scale.map((value) => phase === "optimize" ? (value + 0.3) / 4 : value);
    const steps = 2 * (smoothing_window ?? 0) + 1;
    const jumps = measureJumps(
      moved.map((value, g) => ({ scale: value, zero_point: zero_point[g]! })),
      2,
    ).map(({ scale_jump, zero_point_jump }) => ({
      scale_jump: scale_jump / steps,
      zero_point_jump: zero_point_jump / steps,
    }));
    return {
      ...layer,
      scale: moved,
      boundary_jumps: jumps,
      ...scoreJumps(jumps),
      cosine_similarity: cosine_similarity + gain.cosine,
      sqnr_db: sqnr_db === null ? null : sqnr_db + gain.sqnr,
      baseline: {
        scale,
        zero_point,
        smoothness_score,
        violation_count,
        cosine_similarity,
        sqnr_db,
      },
    };
  });
  const jumps = jumpsOf(layers);
  const smoothness = scoreJumps(jumps);
  const baseline: PhaseFigures = {
    smoothness_score: before.smoothness_score,
    violation_count: before.violation_count,
    cosine_similarity: before.cosine_similarity,
    sqnr_db: before.sqnr_db,
    model_size_mb: before.model_size_mb,
  };
  const change: PhaseFigures = {
    smoothness_score: smoothness.smoothness_score - before.smoothness_score,
    violation_count: smoothness.violation_count - before.violation_count,
    cosine_similarity: gain.cosine,
    sqnr_db: before.sqnr_db === null ? null : gain.sqnr,
    model_size_mb: 0,
  };
  const report = {
    ...before,
    ...settings,
    ...smoothness,
    ...inventStatistics(smoothness),
    boundary_jumps: jumps,
    cosine_similarity: before.cosine_similarity + gain.cosine,
    sqnr_db: before.sqnr_db === null ? null : before.sqnr_db + gain.sqnr,
    common_violation_patterns: describePatterns(smoothness),
    baseline,
    change,
    layers,
  } satisfies Report;
  return { ...report, ...interpretReport(report) };
}

/** A report as if its run had been calibrated: all layers but the first, with drift of so many kinds. */
export function inventCalibrated(report: Report, kinds = ["attn.qkv", "mlp.fc2"]): Report {
  const points = Array.from({ length: 50 }, (_, p) => p);
  return {
    ...report,
    calibration: {
      timesteps: 100,
      segments: 1,
      rank: 64,
      weights: "snr",
      compensated_layers: report.layers.length - 1,
      other_layers: 1,
      drift: {
        timesteps: points.map((p) => 10 + 20 * p),
        kinds: kinds.map((kind, i) => ({
          kind,
          layers: 4,
          range: points.map((p) => (0.5 + p / 49) / (i + 1) + i / (i + 1)),
          range_ratio: 3.21,
          rms: i === 0 ? points.map(() => 1) : null,
          rms_ratio: i === 0 ? 1 : null,
        })),
      },
    },
    output_sqnr_db: 17.54,
    layers: report.layers.map((layer, i) =>
      i === 0 ? layer : { ...layer, output_sqnr_db: 20 - i / 8, compensation_rank: 64 }
    ),
  };
}

/** What a test may choose of quantized inputs. */
export interface ActivationParts {
  /** Timesteps. */
  timesteps?: number;
  /** Time groups. */
  groups?: number;
  /** Whether parameters move within time groups. */
  isMoving?: boolean;
}

/**
 * A report as if the inputs of all its layers but the first had been quantized to 4 bits. The ranges of layers 1 to 6
 * drift, layer 1 by 2x, layer 2 by 3x and so on; the scales are theirs.
 */
export function inventActivations(
  report: Report,
  { timesteps: count = 20, groups = 4, isMoving = false }: ActivationParts = {},
): Report {
  const boundaries = planTimeGroups(count, groups);
  const middles = middlesOf(planPoints(count));
  const layers = report.layers.slice(1).map(({ name }, i): LayerActivations => {
    const drift = 1 + (i % 6 + 1);
    const rangeAt = (t: number) => 3 * (1 + (drift - 1) * t / (count - 1));
    const scale = boundaries.slice(1).map((end) => rangeAt(end - 1) / 15);
    const zero_point = scale.map((_, g) => 3 + g % 2);
    const jumps = measureJumps(scale.map((s, g) => ({ scale: s, zero_point: zero_point[g]! })), 4);
    const { smoothness_score, violation_count } = scoreJumps(jumps);
    return {
      name,
      static_sqnr_db: 12.5 + i / 8,
      grouped_sqnr_db: i === 3 ? null : 15.25 + i / 8,
      timestep_sqnr_db: 16.125 + i / 8,
      smoothness_score,
      violation_count,
      scale,
      zero_point,
      baseline_scale: scale.map((one) => 1.5 * one),
      recommended_groups: [1, 2, 4, 8, 16][i % 5]!,
      ...i < 6 && { range: middles.map(rangeAt) },
      ...i < 6 && isMoving && { moving_scale: middles.map((t) => rangeAt(t) / 15) },
    };
  });
  const jumps = Array.from({ length: groups - 1 }, (_, b) => ({
    scale_jump: b === 0 ? 0.4 : 0.1,
    zero_point_jump: 0.05,
  }));
  const smoothness = scoreJumps(jumps);
  const activations: ActivationsReport = {
    bits: 4,
    range: "p99.9",
    grouping: "equal",
    source: "calibrated",
    timesteps: Array.from({ length: count }, (_, t) => 10 + 40 * t),
    boundaries,
    ...smoothness,
    boundary_jumps: jumps,
    ...isMoving && { stored_smoothness_score: smoothness.smoothness_score - 0.01 },
    static_sqnr_db: 12.5,
    grouped_sqnr_db: 15.25,
    timestep_sqnr_db: 16.125,
    baseline: { smoothness_score: 0.75, violation_count: 3, grouped_sqnr_db: 14 },
    other_layers: 1,
    kept_layers: [],
    layers,
  };
  const changed = {
    ...report,
    activation_bits: activations.bits,
    activation_range: activations.range,
    grouping: activations.grouping,
    outlier_inputs: "keep" as const,
    activation_smoothness_score: activations.smoothness_score,
    activation_sqnr_db: activations.grouped_sqnr_db,
    activations,
  };
  return { ...changed, ...interpretReport(changed) };
}

function inventLayer(name: string, groups: number, seed: number): LayerReport {
  const random = noise(seed);
  const scale = Array.from({ length: groups }, (_, g) => 0.1 * (1 + 0.3 * random(g)));
  if (seed === 0 && groups > 1) scale[0] = 0.04;
  const zero_point = scale.map((_, g) => random(100 + g) > 0 ? 2 : 1);
  const jumps = measureJumps(scale.map((s, g) => ({ scale: s, zero_point: zero_point[g]! })), 2);
  return {
    name,
    rows: 64,
    columns: 128,
    dtype: "BF16",
    bits: 2,
    group_size: null,
    fallback: false,
    boundaries: Array.from({ length: groups + 1 }, (_, g) => Math.floor((g * 64) / groups)),
    scale,
    zero_point,
    boundary_jumps: jumps,
    ...scoreJumps(jumps),
    cosine_similarity: 0.7 + 0.1 * random(50),
    sqnr_db: seed === 1 ? null : 2 + random(51),
    error_share: seed === 1 ? 0 : 0.02 + 0.01 * random(52),
    weight_histogram: Array.from(
      { length: CODE_BINS },
      (_, i) => Math.round(400 * Math.exp(-(((i - 32) / 12) ** 2)) + 20 * (1 + random(60 + i))),
    ),
    source_bytes: 16_384,
    output_bytes: 2_200,
  };
}

/** Names that show what is not escaped. */
export const HOSTILE_NAMES = [
  "<script>alert(1)</script>",
  "</script><img src=x onerror=alert(1)>",
  "<!-- <script>",
  "\"'><b onmouseover=alert(1)>",
  "ansi\x1b[31m\u009b2J",
  "new\nline\r\u2028",
  "bidi\u202e\u2066",
  "__proto__",
  "constructor",
  "",
  "   ",
  "a|b`c``d\\",
  "@octocat [x](javascript:alert(1)) https://example.org #1 **b** <i>",
  "lone\ud800",
  "x".repeat(20_000),
];
