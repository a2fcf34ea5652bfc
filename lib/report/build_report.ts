/** Collects what a run measured into a report: plain JSON, the one thing that console, files and gate read. */

import config from "../../deno.json" with { type: "json" };
import type {
  ActivationBits,
  ActivationRange,
  AxisSource,
  BackendName,
  Bits,
  FormatName,
  Granularity,
  Grouping,
  OutlierInputs,
  Phase,
  QualitySums,
  SkippedTensor,
  SmoothingMethod,
} from "../types.ts";
import { type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import type { ActivationRecords } from "../layer/activation_record.ts";
import { type ActivationsReport, reportActivations } from "./report_activations.ts";
import type { Comparison } from "./comparison.ts";
import { addSums, measureQuality, type Quality } from "../params/measure_quality.ts";
import {
  groupSizeOf,
  markovWeightOf,
  type Modulation,
  type QuantizeSettings,
} from "../settings/settings.ts";
import type { BoundaryJump, Smoothness } from "../params/score_smoothness.ts";
import { smoothingWindowOf } from "../params/smooth_params.ts";
import { describePatterns, type Interpretation } from "./interpret_scores.ts";
import { shareErrors } from "./rank_damage.ts";
import { interpretReport, type QualityReport } from "./report_quality.ts";
import {
  type CalibrationReport,
  type OutputFigures,
  reportCalibration,
  reportOutputs,
  type RunCalibration,
} from "./report_calibration.ts";
import {
  type ComponentReport,
  measureSize,
  nameFully,
  type PartResults,
  reportComponent,
} from "./report_component.ts";
import {
  compareWithBaseline,
  type PhaseFigures,
  type ScoredLayer,
  withTrack,
} from "./phase_figures.ts";
import { type LayerReport, reportLayer, scoreLayers } from "./report_layer.ts";

/** Version of the report's layout; it grows when a key changes its meaning or goes away. */
export const SCHEMA_VERSION = 1;

/** The report of a run. */
export interface Report extends Smoothness, Quality, OutputFigures {
  /** Layout of this object: {@linkcode SCHEMA_VERSION}. */
  schema_version: number;
  /** Version of Isotherm. */
  tool_version: string;
  /** The model directory's name. */
  model_name: string;
  /** Where the time axis comes from. */
  source: AxisSource;
  /** How the parameters were chosen. */
  phase: Phase;
  /** Steps on each side of a boundary over which parameters move; `null`: they do not. */
  smoothing_window: number | null;
  /** The curve along which they move; `null` without smoothing. */
  smoothing_method: SmoothingMethod | null;
  /** What a jump of 1 costs in phase optimize; `null` in the others. */
  markov_weight: number | null;
  /** What computed. */
  backend: BackendName;
  /** How the checkpoint is laid out. */
  format: FormatName;
  /** Width of a code; modulation layers may have another. */
  bit_width: Bits;
  /** Whether all zero points are the middle code. */
  symmetric: boolean;
  /** What became of modulation layers: codes of 8 or 4 bits, nothing, or `null`, the same as of the others. */
  modulation: Modulation | null;
  /** Time groups G. */
  num_time_groups: number;
  /**
   * What shares parameters: the blocks of a row, or all rows of a time group. The parameters of a time
   * group, as scored, are the means over its rows and blocks.
   */
  granularity: Granularity;
  /** What errors were compensated by; absent where nothing was. */
  calibration?: CalibrationReport;
  /** Width of a code of the layers' inputs; `null`: inputs are not quantized. */
  activation_bits: ActivationBits | null;
  /** How the ranges of inputs were chosen. */
  activation_range: ActivationRange | null;
  /** Where the time groups of inputs begin. */
  grouping: Grouping | null;
  /** What became of inputs that codes hold far worse than most. */
  outlier_inputs: OutlierInputs | null;
  /** The score of the quantizers of inputs over time, before zero points were rounded; absent where there are none. */
  activation_smoothness_score?: number;
  /** What these quantizers are expected to come to in dB; absent where there are none, `null`: no error. */
  activation_sqnr_db?: number | null;
  /** The quantizers of inputs; absent where there are none. */
  activations?: ActivationsReport;
  /** Columns of a block as asked for; `null`: one block a row, or one a slice. */
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
  /** Bits of the output weights on disk an element of the source model, all of both counted. */
  bits_per_weight: number;
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
  /**
   * The score of the parameters as they are stored, whose zero points are rounded to integers, where
   * smoothing has given rows their own; `smoothness_score` is that before rounding.
   */
  stored_smoothness_score?: number;
  /** Patterns among the violations, in words. */
  common_violation_patterns: string[];
  /** What phase baseline comes to in this very run; absent where it is the phase. */
  baseline?: PhaseFigures;
  /** This run's figures minus `baseline`; absent where that is. */
  change?: PhaseFigures;
  /** How good the model is that was written, and what to do; absent in reports of older versions. */
  quality?: QualityReport;
  /** What the figures mean, in words. */
  interpretation: Interpretation;
  /** The components of a pipeline that were quantized; absent for a model of its own. */
  components?: ComponentReport[];
  /** Quantized layers, in the order of the files; those of a pipeline are called COMPONENT/LAYER. */
  layers: LayerReport[];
  /** Tensors left as they are. */
  skipped: SkippedTensor[];
  /** How this run differs from the one named with `--compare`. */
  comparison?: Comparison;
}

/** What {@linkcode buildReport} collects. */
export interface RunResults {
  /** The source's name. */
  modelName: string;
  /** Its models that were quantized, at least one. */
  parts: PartResults[];
  /** The settings of the run. */
  settings: QuantizeSettings;
  /** What is known of the layers' inputs, where the run is calibrated. */
  calibration?: RunCalibration | undefined;
  /** The quantizers of their inputs, where inputs are quantized. */
  activations?: ActivationRecords | undefined;
  /** What computed. */
  backend: BackendName;
  /** Wall time so far. */
  elapsedSeconds: () => number;
}

/** Builds the report of a run. */
export function buildReport(run: RunResults): Report {
  const { settings } = run;
  const { phase, threshold } = settings;
  const parts = run.parts.map(nameFully);
  const records = parts.flatMap(({ records }) => records);
  const shares = shareErrors(
    records.map(({ rows, columns, sums }) => ({ elements: rows * columns, sums })),
  );
  const layers = records.map((record, i) => reportLayer(record, threshold, shares[i]));
  const size = measureSize(parts);
  const figures = (scored: readonly ScoredLayer[], sums: readonly QualitySums[]) => ({
    ...scoreLayers(scored, threshold),
    ...measureQuality(addSums(sums)),
    model_size_mb: size.model_size_mb,
  });
  const measured = figures(layers, records.map(({ sums }) => sums));
  const window = smoothingWindowOf(settings);
  const outputs = reportOutputs(records);
  const activations = run.activations && reportActivations(run.activations, settings);
  const report: Omit<Report, "interpretation"> = {
    schema_version: SCHEMA_VERSION,
    tool_version: config.version,
    model_name: run.modelName,
    source: records[0]?.axis.source ?? "positional",
    phase,
    smoothing_window: window,
    smoothing_method: window === null ? null : settings.smoothingMethod,
    markov_weight: phase === "optimize" ? markovWeightOf(settings) : null,
    backend: run.backend,
    format: settings.format,
    bit_width: settings.bits,
    symmetric: settings.symmetric,
    modulation: settings.defaultIgnore ? settings.modulation : null,
    num_time_groups: settings.timeGroups,
    granularity: settings.granularity,
    ...run.calibration === undefined
      ? {}
      : { calibration: reportCalibration(run.calibration, settings, records) },
    activation_bits: settings.activationBits ?? null,
    activation_range: activations?.range ?? null,
    grouping: activations?.grouping ?? null,
    outlier_inputs: activations === undefined ? null : settings.outlierInputs,
    ...activations && {
      activation_smoothness_score: activations.smoothness_score,
      activation_sqnr_db: activations.grouped_sqnr_db,
      activations,
    },
    group_size: groupSizeOf(settings),
    smoothness_threshold: threshold,
    ignore: [...settings.ignore],
    default_ignore: settings.defaultIgnore,
    ...size,
    ...measured,
    ...outputs,
    ...describeScores(measured.boundary_scores),
    quantization_time_s: run.elapsedSeconds(),
    common_violation_patterns: describePatterns(measured),
    ...window === null ? {} : {
      stored_smoothness_score: scoreStored(records, threshold),
    },
    ...compareWithBaseline(records, { ...measured, ...outputs }, figures),
    ...parts.some(({ component }) => component !== "") && {
      components: parts.map((part) => reportComponent(part, threshold)),
    },
    layers,
    skipped: parts.flatMap(({ skipped }) => skipped),
  };
  return { ...report, ...interpretReport(report) };
}

function scoreStored(records: readonly LayerRecord[], threshold: number): number {
  const stored = records.map((record) =>
    withTrack(record, record.schedule?.stored ?? trackOfGroups(record, record))
  );
  return scoreLayers(stored, threshold).smoothness_score;
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
