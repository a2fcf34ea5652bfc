/** Which runs of a history belong to one line: those of the same model and settings; and what the line is called. */

import { escapeText, quote } from "../base/text.ts";
import type { SETTING_KEYS } from "../report/report_figures.ts";
import type { HistoryEntry, HistorySettings } from "./entry.ts";

/** What tells runs apart. */
export type HistoryIdentity = Pick<HistoryEntry, "model_name" | "settings">;

/** A text that two entries share where they are of the same model and settings, and else do not. */
export function identify({ model_name, settings }: HistoryIdentity): string {
  const keys = Object.keys(settings).sort();
  return JSON.stringify([model_name, keys.map((key) => [key, settings[key]])]);
}

type SettingName = Exclude<typeof SETTING_KEYS[number], "model_name"> | "calibration";
type SettingValue = HistorySettings[string];

/** What each setting is called, and what is said where it is left out. */
const WORDS: Record<SettingName, [say: (value: SettingValue) => string, without: string]> = {
  source: [(value) => `${value} source`, "no source"],
  phase: [(value) => `phase ${value}`, "no phase"],
  smoothing_window: [(value) => `window ${value}`, "no window"],
  smoothing_method: [String, "no smoothing"],
  markov_weight: [(value) => `Markov weight ${value}`, "no Markov weight"],
  format: [String, "no format"],
  bit_width: [(value) => `INT${value}`, "no bit width"],
  symmetric: [() => "symmetric", "with zero points"],
  modulation: [
    (value) => value === "keep" ? "modulation kept" : `modulation INT${value}`,
    "modulation like the rest",
  ],
  num_time_groups: [(value) => `${value} time groups`, "no time groups"],
  granularity: [(value) => `by ${value}s`, "no granularity"],
  group_size: [(value) => `blocks of ${value}`, "no blocks"],
  smoothness_threshold: [(value) => `threshold ${value}`, "no threshold"],
  activation_bits: [(value) => `${value}-bit inputs`, "inputs not quantized"],
  activation_range: [(value) => `ranges ${value}`, "no ranges of inputs"],
  grouping: [(value) => `${value} groups of inputs`, "no groups of inputs"],
  outlier_inputs: [(value) => `outlying inputs: ${value}`, "no outlying inputs"],
  ignore: [(value) => `without ${[value].flat().join(", ")}`, "nothing ignored"],
  default_ignore: [() => "sensitive layers left alone", "sensitive layers too"],
  calibration: [(value) => `calibration ${value}`, "no calibration"],
};

/**
 * Names identities: model and bit width, and where those are the same, the settings in which they differ.
 *
 * @returns A name for each, in the same order; what it holds of a file's names is escaped and cut.
 */
export function nameIdentities(identities: readonly HistoryIdentity[]): string[] {
  const nameOf = ({ model_name, settings }: HistoryIdentity) =>
    `${showName(model_name)}, ${describeSetting("bit_width", settings.bit_width)}`;
  const alike = Map.groupBy(identities, nameOf);
  return identities.map((identity) => {
    const name = nameOf(identity);
    const { settings } = identity;
    const words = differingKeys(alike.get(name)!).map((key) => describeSetting(key, settings[key]));
    return [name, ...words].join(", ");
  });
}

/** Spaces alone would show as nothing at all. */
function showName(name: string): string {
  return name.trim() === "" ? quote(name) : escapeText(name);
}

/** Settings in which identities differ, those that are known first. */
function differingKeys(identities: readonly HistoryIdentity[]): string[] {
  const found = new Set(identities.flatMap(({ settings }) => Object.keys(settings)));
  const known = Object.keys(WORDS);
  const added = [...found].filter((key) => !known.includes(key)).sort();
  return [...known, ...added].filter((key) =>
    new Set(identities.map(({ settings }) => JSON.stringify(settings[key]))).size > 1
  );
}

/** A setting in words; one that a later version has added by its key. */
function describeSetting(key: string, value: SettingValue | undefined): string {
  const [say, without] = Object.hasOwn(WORDS, key)
    ? WORDS[key as SettingName]
    : [(value: SettingValue) => `${key} ${value}`, `no ${key}`];
  return escapeText(value === undefined ? without : say(value));
}
