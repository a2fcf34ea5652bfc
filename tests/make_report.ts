/** Reports for tests: valid, small, and changed where a test wants it. */

import { formatPieces } from "../lib/report/format_report.ts";
import type { LayerReport, Report } from "../mod.ts";

/** A report as its file has it. */
export function formatReport(report: Report): string {
  return [...formatPieces(report)].join("");
}

/** A layer of four groups. */
export function makeLayer(name: string, parts: Partial<LayerReport> = {}): LayerReport {
  return {
    name,
    rows: 8,
    columns: 32,
    dtype: "F32",
    bits: 2,
    group_size: null,
    fallback: false,
    boundaries: [0, 2, 4, 6, 8],
    scale: [0.5, 0.5, 0.4, 0.4],
    zero_point: [1, 1, 2, 2],
    boundary_jumps: [
      { scale_jump: 0, zero_point_jump: 0 },
      { scale_jump: 0.2, zero_point_jump: 0.2 },
      { scale_jump: 0, zero_point_jump: 0 },
    ],
    smoothness_score: 0.93,
    violation_count: 0,
    violations: [],
    boundary_scores: [1, 0.8, 1],
    cosine_similarity: 0.9,
    sqnr_db: 8,
    source_bytes: 1024,
    output_bytes: 120,
    ...parts,
  };
}

/** A report of two layers. */
export function makeReport(parts: Partial<Report> = {}): Report {
  return {
    schema_version: 1,
    tool_version: "0.1.0",
    model_name: "tiny",
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
    num_time_groups: 4,
    granularity: "slice",
    group_size: null,
    smoothness_threshold: 0.3,
    activation_bits: null,
    activation_range: null,
    grouping: null,
    outlier_inputs: null,
    ignore: ["b.*", "a.*"],
    default_ignore: true,
    parameter_count: 1000,
    quantized_parameter_count: 512,
    bits_per_weight: 16000,
    smoothness_score: 0.9,
    violation_count: 1,
    violations: [
      { boundary_idx: 1, scale_jump: 0.4, zero_point_jump: 0.1, severity: "medium" },
    ],
    boundary_scores: [0.95, 0.75, 1],
    boundary_jumps: [
      { scale_jump: 0.1, zero_point_jump: 0 },
      { scale_jump: 0.4, zero_point_jump: 0.1 },
      { scale_jump: 0, zero_point_jump: 0 },
    ],
    min_boundary_score: 0.75,
    max_boundary_score: 1,
    mean_boundary_score: 0.9,
    std_boundary_score: 0.108012345,
    cosine_similarity: 0.95,
    sqnr_db: 10,
    compression_ratio: 4,
    model_size_mb: 2,
    quantization_time_s: 1.5,
    common_violation_patterns: ["Medium severity violations: 1 (100.0%)"],
    interpretation: {
      score: "Excellent (no other --phase needed)",
      violations: "Normal",
      next_step: "Keep this report as the baseline to compare later runs with",
      expected_score: [0.7, 0.8],
    },
    layers: [
      makeLayer("blocks.0.fc"),
      makeLayer("blocks.1.fc", { rows: 16, output_bytes: 240, smoothness_score: 0.87 }),
    ],
    skipped: [],
    ...parts,
  };
}
