/** What a comparison of two reports says, as plain JSON. */

import type { FormatName, Granularity, Phase, SmoothingMethod } from "../types.ts";
import type { MetricName } from "./metrics.ts";

/** How a figure moved. `changed`: it moved, and neither way is better, or one side has no number. */
export type Direction = "better" | "worse" | "same" | "changed";

/** A figure in two reports. */
export interface MetricChange {
  /** Its key in the report. */
  metric: MetricName;
  /** The baseline's; `null` as in the report, `NaN` where it is missing. */
  baseline: number | null;
  /** The current report's. */
  current: number | null;
  /** Current minus baseline, 6 significant digits; `null` where that is no finite number. */
  difference: number | null;
  /** How it moved. Figures equal to 6 significant digits are the same. */
  direction: Direction;
}

/** The score of a boundary in two reports. */
export interface BoundaryChange {
  /** Boundary between time groups `boundary_idx` and `boundary_idx + 1`. */
  boundary_idx: number;
  /** The baseline's boundary score, 0 to 1; `null` where it has no such boundary. */
  baseline: number | null;
  /** The current one. */
  current: number | null;
  /** Current minus baseline. */
  difference: number | null;
  /** How it moved. */
  direction: Direction;
  /** Whether a violation came, went or stayed here; `null`: there is none in either report. */
  violation: "new" | "gone" | "kept" | null;
}

/** A layer that both reports have. */
export interface LayerChange {
  /** Its name in the current report. */
  name: string;
  /** Its name in the baseline; another one where it was renamed. */
  baseline_name: string;
  /**
   * `worse` where any figure but the size is, by more than a gate tolerates, else `better` where any is so; else as
   * the size. The figures of the weights count only where nothing is known of the outputs.
   */
  direction: Direction;
  /** Its share of the current model's error, 0 to 1; `null` where the report does not say. */
  error_share: number | null;
  /** Its figures. */
  metrics: MetricChange[];
}

/** A setting that two reports differ in. */
export interface SettingChange {
  /** Its key in the report. */
  setting: string;
  /** The baseline's. */
  baseline: string | number | boolean | null | string[];
  /** The current one. */
  current: string | number | boolean | null | string[];
}

/** What a report is of. */
export interface ReportIdentity {
  /** The model directory's name. */
  model_name: string;
  /** How the checkpoint is laid out. */
  format: FormatName;
  /** Width of a code. */
  bit_width: number;
  /** Time groups. */
  num_time_groups: number;
  /** What shares parameters. */
  granularity: Granularity;
  /** Where the time axis comes from. */
  source: string;
  /** How the parameters were chosen. */
  phase: Phase;
  /** Steps on each side of a boundary over which parameters move; `null`: they do not. */
  smoothing_window: number | null;
  /** The curve along which they move. */
  smoothing_method: SmoothingMethod | null;
  /** What a jump of 1 costs in phase optimize. */
  markov_weight: number | null;
  /** Version of Isotherm that measured. */
  tool_version: string;
}

/** Two reports compared. */
export interface Comparison {
  /** What is compared with. */
  baseline: ReportIdentity;
  /** What is compared. */
  current: ReportIdentity;
  /** Settings they differ in; where there are any, a gate does not judge. */
  differing_settings: SettingChange[];
  /** Every figure. */
  metrics: MetricChange[];
  /** Every boundary. */
  boundaries: BoundaryChange[];
  /** Layers that both have, in the order of the current report. */
  layers: LayerChange[];
  /** Layers only in the current report. */
  new_layers: string[];
  /** Layers only in the baseline. */
  vanished_layers: string[];
  /** Layers that kept their shape and figures under another name; they are in `layers` as well. */
  renamed_layers: { from: string; to: string }[];
}
