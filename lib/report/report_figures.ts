/** The part of a report that is compared: all that a baseline keeps. */

import type { Report } from "./build_report.ts";
import type { LayerReport } from "./report_layer.ts";

/** What two runs have to share for a gate to judge one by the other. */
export const SETTING_KEYS = [
  "model_name",
  "source",
  "phase",
  "smoothing_window",
  "smoothing_method",
  "markov_weight",
  "format",
  "bit_width",
  "symmetric",
  "modulation",
  "num_time_groups",
  "granularity",
  "group_size",
  "smoothness_threshold",
  "activation_bits",
  "activation_range",
  "grouping",
  "outlier_inputs",
  "ignore",
  "default_ignore",
] as const satisfies readonly (keyof Report)[];

/** Keys of a report that a baseline keeps, in its order; without the layers. */
export const FIGURE_KEYS = [
  "schema_version",
  "tool_version",
  ...SETTING_KEYS,
  "parameter_count",
  "quantized_parameter_count",
  "bits_per_weight",
  "smoothness_score",
  "violation_count",
  "violations",
  "boundary_scores",
  "min_boundary_score",
  "max_boundary_score",
  "mean_boundary_score",
  "std_boundary_score",
  "cosine_similarity",
  "sqnr_db",
  "compression_ratio",
  "model_size_mb",
] as const satisfies readonly (keyof Report)[];

/** Keys that a baseline keeps where the report has them; of a layer only the second. */
export const OPTIONAL_KEYS = [
  "calibration",
  "output_sqnr_db",
  "activation_smoothness_score",
  "activation_sqnr_db",
] as const satisfies readonly (
  keyof Report
)[];

/** Keys of a layer that a baseline keeps, in its order. */
export const LAYER_KEYS = [
  "name",
  "rows",
  "columns",
  "dtype",
  "bits",
  "group_size",
  "smoothness_score",
  "violation_count",
  "cosine_similarity",
  "sqnr_db",
  "output_bytes",
] as const satisfies readonly (keyof LayerReport)[];

/** Figures of one layer; its share of the error is known of whole reports alone. */
export type LayerFigures = Pick<
  LayerReport,
  typeof LAYER_KEYS[number] | "output_sqnr_db" | "error_share"
>;

/** A report as far as it is compared; every `Report` is one, and every baseline. */
export type ReportFigures =
  & Pick<
    Report,
    typeof FIGURE_KEYS[number] | typeof OPTIONAL_KEYS[number]
  >
  & {
    /** Quantized layers, each name once. */
    layers: LayerFigures[];
  };
