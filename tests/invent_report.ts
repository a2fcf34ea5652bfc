/** Reports for tests, made from parameters without a model. */

import { measureJumps, scoreJumps, weightJumps } from "../lib/score_smoothness.ts";
import type { LayerReport, Report } from "../lib/report/build_report.ts";
import { describePatterns, interpretScores } from "../lib/report/interpret_scores.ts";
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
  const jumps = weightJumps(
    layers.map(({ boundary_jumps, rows, columns }) => ({
      jumps: boundary_jumps,
      elements: rows * columns,
    })),
  );
  const smoothness = scoreJumps(jumps);
  const scores = smoothness.boundary_scores;
  const mean = scores.length === 0 ? null : scores.reduce((a, b) => a + b) / scores.length;
  return {
    schema_version: 1,
    tool_version: "0.1.0",
    model_name: "tiny-dit",
    source: "positional",
    phase: "baseline",
    backend: "wasm",
    bit_width: 2,
    num_time_groups: groups,
    group_size: null,
    smoothness_threshold: 0.3,
    ignore: [],
    default_ignore: true,
    parameter_count: 1_000_000,
    quantized_parameter_count: 900_000,
    ...smoothness,
    boundary_jumps: jumps,
    min_boundary_score: scores.length === 0 ? null : scores.reduce((a, b) => Math.min(a, b)),
    max_boundary_score: scores.length === 0 ? null : scores.reduce((a, b) => Math.max(a, b)),
    mean_boundary_score: mean,
    std_boundary_score: mean === null ? null : 0.01,
    cosine_similarity: 0.71,
    sqnr_db: 2.5,
    compression_ratio: 5.25,
    model_size_mb: 0.48,
    quantization_time_s: 0.03,
    common_violation_patterns: describePatterns(smoothness),
    interpretation: interpretScores(smoothness, 2, 1_000_000),
    layers,
    skipped: [{ name: "pos_embed", reason: "not a matrix (rank 3)" }],
  };
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
    group_size: null,
    fallback: false,
    boundaries: Array.from({ length: groups + 1 }, (_, g) => Math.floor((g * 64) / groups)),
    scale,
    zero_point,
    boundary_jumps: jumps,
    ...scoreJumps(jumps),
    cosine_similarity: 0.7 + 0.1 * random(50),
    sqnr_db: seed === 1 ? null : 2 + random(51),
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
