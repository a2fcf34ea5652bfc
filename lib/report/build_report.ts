/** Collects what a run measured into a report: plain JSON, the one thing that console, files and gate read. */

import config from "../../deno.json" with { type: "json" };
import type { BackendName } from "../backends/backend.ts";
import type { Comparison } from "../gate/comparison.ts";
import { addSums, measureQuality, type Quality } from "../measure_quality.ts";
import { countParameters, type Model, modelBytes } from "../model/open_model.ts";
import type { QuantizeSettings } from "../options.ts";
import { packedSize } from "../plan_checkpoint.ts";
import {
  type BoundaryJump,
  measureJumps,
  scoreJumps,
  type Smoothness,
  weightJumps,
} from "../score_smoothness.ts";
import type { Selection } from "../select_layers.ts";
import type {
  Bits,
  LayerPlan,
  QualitySums,
  QuantParams,
  Schedule,
  SkippedTensor,
} from "../types.ts";
import { describePatterns, type Interpretation, interpretScores } from "./interpret_scores.ts";

/** Version of the report's layout; it grows when a key changes its meaning or goes away. */
export const SCHEMA_VERSION = 1;

/** Figures of one quantized layer. */
export interface LayerReport extends Smoothness, Quality {
  /** Module name. */
  name: string;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Dtype of the source and of the stored scales. */
  dtype: string;
  /** Columns of a block; `null`: one block a slice. */
  group_size: number | null;
  /** Whether the block size asked for did not divide the columns. */
  fallback: boolean;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  boundaries: number[];
  /** Scale of each time group, [G]: the mean over its blocks. */
  scale: number[];
  /** Zero point of each time group, [G]: the mean over its blocks. */
  zero_point: number[];
  /** Jumps at each boundary, [G-1]. */
  boundary_jumps: BoundaryJump[];
  /** Bytes of the source tensor. */
  source_bytes: number;
  /** Bytes of the tensors that stand for it. */
  output_bytes: number;
}

/** The report of a run. */
export interface Report extends Smoothness, Quality {
  /** Layout of this object: {@linkcode SCHEMA_VERSION}. */
  schema_version: number;
  /** Version of Isotherm. */
  tool_version: string;
  /** The model directory's name. */
  model_name: string;
  /** Where the time axis comes from. */
  source: "positional";
  /** How the parameters were chosen. */
  phase: "baseline";
  /** What computed. */
  backend: BackendName;
  /** Width of a code. */
  bit_width: Bits;
  /** Time groups G. */
  num_time_groups: number;
  /** Columns of a block as asked for; `null`: one block a slice. */
  group_size: number | null;
  /** Scale jump above which a boundary is a violation. */
  smoothness_threshold: number;
  /** Patterns of layers left alone. */
  ignore: string[];
  /** Whether the built-in list of sensitive layers was left alone as well. */
  default_ignore: boolean;
  /** Elements of the source model. */
  parameter_count: number;
  /** Elements quantized. */
  quantized_parameter_count: number;
  /** Jumps of the model at each boundary, [G-1]. */
  boundary_jumps: BoundaryJump[];
  /** Smallest boundary score; `null` with one time group. */
  min_boundary_score: number | null;
  /** Largest boundary score. */
  max_boundary_score: number | null;
  /** Mean of the boundary scores. */
  mean_boundary_score: number | null;
  /** Population standard deviation of the boundary scores. */
  std_boundary_score: number | null;
  /** Bytes of the source weights / bytes of the output weights, as on disk. */
  compression_ratio: number;
  /** Output weights on disk, in 10^6 bytes. */
  model_size_mb: number;
  /** Wall time of the run in seconds; not compared. */
  quantization_time_s: number;
  /** Patterns among the violations, in words. */
  common_violation_patterns: string[];
  /** What the figures mean, in words. */
  interpretation: Interpretation;
  /** Quantized layers, in the order of the files. */
  layers: LayerReport[];
  /** Tensors left as they are. */
  skipped: SkippedTensor[];
  /** How this run differs from the one named with `--compare`. */
  comparison?: Comparison;
}

/** What a run found out about a layer. */
export interface LayerResult {
  /** The layer. */
  layer: LayerPlan;
  /** Its parameters. */
  schedule: Schedule;
  /** Its energies. */
  sums: QualitySums;
}

/** What {@linkcode buildReport} collects. */
export interface RunResults {
  /** The source. */
  model: Model;
  /** What was quantized and what was not. */
  selection: Selection;
  /** In the order of the files. */
  results: LayerResult[];
  /** The settings of the run. */
  settings: QuantizeSettings;
  /** What computed. */
  backend: BackendName;
  /** Bytes of the output weights on disk. */
  outputBytes: number;
  /** Wall time so far. */
  elapsedSeconds: () => number;
}

/** Builds the report of a run. */
export function buildReport(run: RunResults): Report {
  const { settings, model } = run;
  const layers = run.results.map((result) => reportLayer(result, settings.threshold));
  const jumps = weightJumps(
    layers.map(({ boundary_jumps, rows, columns }) => ({
      jumps: boundary_jumps,
      elements: rows * columns,
    })),
  );
  const smoothness = scoreJumps(jumps, settings.threshold);
  const parameterCount = countParameters(model);
  return {
    schema_version: SCHEMA_VERSION,
    tool_version: config.version,
    model_name: model.name,
    source: "positional",
    phase: "baseline",
    backend: run.backend,
    bit_width: settings.bits,
    num_time_groups: settings.timeGroups,
    group_size: settings.groupSize ?? null,
    smoothness_threshold: settings.threshold,
    ignore: [...settings.ignore],
    default_ignore: settings.defaultIgnore,
    parameter_count: parameterCount,
    quantized_parameter_count: layers.reduce((sum, layer) => sum + layer.rows * layer.columns, 0),
    ...smoothness,
    boundary_jumps: jumps,
    ...describeScores(smoothness.boundary_scores),
    ...measureQuality(addSums(run.results.map(({ sums }) => sums))),
    compression_ratio: modelBytes(model) / run.outputBytes,
    model_size_mb: run.outputBytes / 1e6,
    quantization_time_s: run.elapsedSeconds(),
    common_violation_patterns: describePatterns(smoothness),
    interpretation: interpretScores(smoothness, settings.bits, parameterCount),
    layers,
    skipped: run.selection.skipped,
  };
}

function reportLayer({ layer, schedule, sums }: LayerResult, threshold: number): LayerReport {
  const groups = meanParams(schedule);
  const jumps = measureJumps(groups, layer.bits);
  return {
    name: layer.name,
    rows: layer.rows,
    columns: layer.columns,
    dtype: layer.dtype,
    group_size: layer.groupSize,
    fallback: layer.fallback,
    boundaries: layer.boundaries,
    scale: groups.map(({ scale }) => scale),
    zero_point: groups.map(({ zero_point }) => zero_point),
    boundary_jumps: jumps,
    ...scoreJumps(jumps, threshold),
    ...measureQuality(sums),
    source_bytes: layer.tensor.end - layer.tensor.begin,
    output_bytes: packedSize(layer),
  };
}

/** The parameters of a segment in several blocks, as scored: the means over its blocks. */
function meanParams({ starts, blocks, scale, zero_point }: Schedule): QuantParams[] {
  const mean = (values: Float32Array | Uint8Array, first: number) => {
    let sum = 0;
    for (let i = 0; i < blocks; i++) sum += values[first + i]!;
    return sum / blocks;
  };
  return starts.slice(1).map((_, segment) => ({
    scale: mean(scale, segment * blocks),
    zero_point: mean(zero_point, segment * blocks),
  }));
}

type ScoreStatistics = Pick<
  Report,
  "min_boundary_score" | "max_boundary_score" | "mean_boundary_score" | "std_boundary_score"
>;

function describeScores(scores: readonly number[]): ScoreStatistics {
  if (scores.length === 0) {
    return {
      min_boundary_score: null,
      max_boundary_score: null,
      mean_boundary_score: null,
      std_boundary_score: null,
    };
  }
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  return {
    min_boundary_score: scores.reduce((a, b) => Math.min(a, b)),
    max_boundary_score: scores.reduce((a, b) => Math.max(a, b)),
    mean_boundary_score: mean,
    std_boundary_score: Math.sqrt(variance),
  };
}

/**
 * The report as text: two-space JSON with each entry of a list on one line, so that a diff shows
 * which layer changed.
 */
export function formatReport(report: Report): string {
  const lines = Object.entries(report).map(([key, value]: [string, unknown]) => {
    const isTable = Array.isArray(value) && typeof value[0] === "object";
    const text = isTable
      ? `[\n${value.map((row) => `    ${JSON.stringify(row)}`).join(",\n")}\n  ]`
      : JSON.stringify(value);
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}
