/** Settings that differ, as a page shows them. */

import { escapeText } from "../base/text.ts";
import type { SettingChange } from "../report/comparison.ts";
import type { SETTING_KEYS } from "../report/report_figures.ts";

/** What each setting is called. */
const NAMES: Record<typeof SETTING_KEYS[number] | "calibration", string> = {
  model_name: "Model",
  source: "Time axis",
  phase: "Phase",
  smoothing_window: "Smoothing window",
  smoothing_method: "Smoothing method",
  markov_weight: "Markov weight",
  format: "Checkpoint format",
  bit_width: "Bit width",
  symmetric: "Symmetric",
  modulation: "Modulation layers",
  num_time_groups: "Time groups",
  granularity: "Granularity",
  group_size: "Columns of a block",
  smoothness_threshold: "Smoothness threshold",
  activation_bits: "Bits of activations",
  activation_range: "Ranges of activations",
  grouping: "Time groups of activations",
  outlier_inputs: "Outlying activations",
  ignore: "Left alone",
  default_ignore: "Sensitive layers left alone",
  calibration: "Calibration",
};

/** What a setting is called where people read it; one that is unknown by its key. */
export function nameSetting(setting: string): string {
  return Object.hasOwn(NAMES, setting) ? NAMES[setting as keyof typeof NAMES] : escapeText(setting);
}

/** The value of a setting in words. */
export function showSetting(value: SettingChange["baseline"]): string {
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!Array.isArray(value)) return escapeText(String(value));
  return value.length === 0 ? "nothing" : value.map(escapeText).join(", ");
}
