/** Which runs of a history belong to one line: those of the same model and settings; and what the line is called. */

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
  ignore: [(value) => `without ${[value].flat().join(", ")}`, "nothing ignored"],
  default_ignore: [() => "sensitive layers left alone", "sensitive layers too"],
  calibration: [(value) => `calibration ${value}`, "no calibration"],
};

/**
 * Names identities: model and bit width, and the settings in which they differ.
 *
 * @returns A name for each, in the same order.
 */
export function nameIdentities(identities: readonly HistoryIdentity[]): string[] {
  const known = new Set<string>(Object.keys(WORDS));
  const added = identities.flatMap(({ settings }) => Object.keys(settings))
    .filter((key) => !known.has(key)).sort();
  const keys = [...new Set(["bit_width", ...known, ...added])];
  const textOf = (identity: HistoryIdentity, key: string) => JSON.stringify(identity.settings[key]);
  const differing = keys.filter((key) =>
    key === "bit_width" ||
    new Set(identities.map((identity) => textOf(identity, key))).size > 1
  );
  return identities.map(({ model_name, settings }) =>
    [model_name, ...differing.map((key) => describeSetting(key, settings[key]))].join(", ")
  );
}

/** A setting in words; one that a later version has added by its key. */
function describeSetting(key: string, value: SettingValue | undefined): string {
  const [say, without] = Object.hasOwn(WORDS, key)
    ? WORDS[key as SettingName]
    : [(value: SettingValue) => `${key} ${value}`, `no ${key}`];
  return value === undefined ? without : say(value);
}
