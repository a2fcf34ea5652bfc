/** From the values of flags to settings; what they may be is not decided here. */

import { readChoice } from "../base/read_choice.ts";
import type { GateTolerances } from "../gate/gate_rules.ts";
import { checkSettings, checkTolerance } from "../settings/check_settings.ts";
import { DEFAULT_SETTINGS, type QuantizeSettings } from "../settings/settings.ts";
import { MISSING_POLICIES, type MissingPolicy } from "./flags.ts";

/** Values by flag name. */
export type Values = Map<string, string[]>;

/** A number, or the text itself where it is not written as one. */
type Reader = (text: string) => number | string;

const readDigit: Reader = (text) => /^\d$/.test(text) ? Number(text) : text;
const readWhole: Reader = (text) => /^-?\d{1,15}$/.test(text) ? Number(text) : text;
const readDecimal: Reader = (text) =>
  /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : text;
const readWord: Reader = (text) => text;

/** The settings that are given as one text, their flags and how they are written. */
const WRITTEN = [
  { key: "bits", flag: "bit-width", read: readDigit },
  { key: "timeGroups", flag: "num-time-groups", read: readWhole },
  { key: "granularity", flag: "granularity", read: readWord },
  { key: "groupSize", flag: "group-size", read: readWhole },
  { key: "format", flag: "format", read: readWord },
  { key: "modulation", flag: "modulation", read: readDigit },
  { key: "threshold", flag: "smoothness-threshold", read: readDecimal },
  { key: "phase", flag: "phase", read: readWord },
  { key: "smoothingWindow", flag: "smoothing-window", read: readWhole },
  { key: "smoothingMethod", flag: "smoothing-method", read: readWord },
  { key: "markovWeight", flag: "markov-weight", read: readDecimal },
  { key: "calibration", flag: "calibration", read: readWord },
  { key: "timestepWeights", flag: "timestep-weights", read: readWord },
  { key: "activationBits", flag: "activation-bits", read: readDigit },
  { key: "activationRange", flag: "activation-range", read: readWord },
  { key: "grouping", flag: "grouping", read: readWord },
  { key: "outlierInputs", flag: "outlier-inputs", read: readWord },
  { key: "backend", flag: "backend", read: readWord },
] as const;

/** What the flags of `gate` say. */
export interface GateFlags extends Required<GateTolerances> {
  /** Rules file. */
  rules: string | undefined;
  /** What to do where the baseline is missing. Default `fail`. */
  missing: MissingPolicy;
}

/**
 * Reads the settings of a run.
 *
 * @param own What takes the place of a default.
 * @throws {BadInputError} A value is out of its limits, or is none that the phase has a use for.
 */
export function readSettings(
  values: Values,
  own: Partial<QuantizeSettings> = {},
): QuantizeSettings {
  const texts = new Map<keyof QuantizeSettings, string>();
  const written: Partial<Record<keyof QuantizeSettings, number | string>> = {};
  for (const { key, flag, read } of WRITTEN) {
    const text = values.get(flag)?.[0];
    if (text === undefined) continue;
    texts.set(key, text);
    written[key] = read(text);
  }
  const settings: unknown = {
    ...DEFAULT_SETTINGS,
    ...own,
    ignore: values.get("ignore") ?? [],
    components: values.get("component") ?? [],
    symmetric: values.has("symmetric"),
    defaultIgnore: !values.has("no-default-ignore"),
    strict: values.has("strict"),
    ...written,
  };
  checkSettings(settings, texts);
  return settings;
}

/**
 * Reads the flags of `gate`.
 *
 * @throws {BadInputError} A value is out of its limits.
 */
export function readGateFlags(values: Values): GateFlags {
  const text = (name: string) => values.get(name)?.[0];
  const number = (name: string) => {
    const value = text(name);
    return value === undefined ? undefined : readTolerance(name, value, false);
  };
  const violations = text("max-new-violations");
  const missing = text("missing");
  return {
    maxScoreDrop: number("max-score-drop"),
    maxCosineDrop: number("max-cosine-drop"),
    maxSqnrDrop: number("max-sqnr-drop"),
    maxLayerDrop: number("max-layer-drop"),
    maxSizeGrowth: number("max-size-growth"),
    maxNewViolations: violations === undefined
      ? undefined
      : readTolerance("max-new-violations", violations, true),
    allowVanishedLayers: values.has("allow-vanished-layers"),
    rules: text("rules"),
    missing: missing === undefined ? "fail" : readChoice("--missing", missing, MISSING_POLICIES),
  };
}

function readTolerance(name: string, text: string, isCount: boolean): number {
  const value = isCount ? readWhole(text) : readDecimal(text);
  checkTolerance(`--${name}`, value, isCount, text);
  return Number(value);
}
