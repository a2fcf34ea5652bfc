/** From the values of flags to settings; each is checked against its limits. */

import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";
import type { GateTolerances } from "./gate/gate_rules.ts";
import {
  BACKEND_CHOICES,
  DEFAULT_SETTINGS,
  LIMITS,
  MISSING_POLICIES,
  type MissingPolicy,
  type QuantizeSettings,
} from "./options.ts";
import { readChoice } from "./read_choice.ts";
import type { Bits } from "./types.ts";

/** Widths of a code, as they are written. */
const WIDTHS = ["2", "4", "8"] as const;

/** Values by flag name. */
export type Values = Map<string, string[]>;

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
 * @throws {BadInputError} A value is out of its limits.
 */
export function readSettings(values: Values): QuantizeSettings {
  const text = (name: string) => values.get(name)?.[0];
  const settings = {
    ...DEFAULT_SETTINGS,
    ignore: values.get("ignore") ?? [],
    defaultIgnore: !values.has("no-default-ignore"),
    strict: values.has("strict"),
  };
  const bits = text("bit-width");
  if (bits !== undefined) settings.bits = Number(readChoice("--bit-width", bits, WIDTHS)) as Bits;
  const timeGroups = text("num-time-groups");
  if (timeGroups !== undefined) {
    settings.timeGroups = readInteger("num-time-groups", timeGroups, LIMITS.timeGroups);
  }
  const groupSize = text("group-size");
  if (groupSize !== undefined) {
    settings.groupSize = readInteger("group-size", groupSize, LIMITS.groupSize);
  }
  const threshold = text("smoothness-threshold");
  if (threshold !== undefined) settings.threshold = readThreshold(threshold);
  const backend = text("backend");
  if (backend !== undefined) settings.backend = readChoice("--backend", backend, BACKEND_CHOICES);
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
    return value === undefined ? undefined : readTolerance(name, value);
  };
  const violations = text("max-new-violations");
  const missing = text("missing");
  return {
    maxScoreDrop: number("max-score-drop"),
    maxCosineDrop: number("max-cosine-drop"),
    maxSqnrDrop: number("max-sqnr-drop"),
    maxSizeGrowth: number("max-size-growth"),
    maxNewViolations: violations === undefined
      ? undefined
      : readInteger("max-new-violations", violations, LIMITS.tolerance),
    allowVanishedLayers: values.has("allow-vanished-layers"),
    rules: text("rules"),
    missing: missing === undefined ? "fail" : readChoice("--missing", missing, MISSING_POLICIES),
  };
}

function readInteger(
  name: string,
  text: string,
  limits: { min: number; max: number; multiple?: number },
): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
  const { min, max, multiple = 1 } = limits;
  if (!Object.is(value, -0) && value >= min && value <= max && value % multiple === 0) return value;
  const kind = multiple > 1 ? `a multiple of ${multiple}` : "a whole number";
  throw new BadInputError(`--${name} is ${quote(text)}, must be ${kind} from ${min} to ${max}`);
}

function readDecimal(text: string): number {
  return /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN;
}

function readThreshold(text: string): number {
  const value = readDecimal(text);
  const { above, max } = LIMITS.threshold;
  if (value > above && value <= max) return value;
  throw new BadInputError(
    `--smoothness-threshold is ${quote(text)}, must be a number above ${above} and at most ${max}`,
  );
}

function readTolerance(name: string, text: string): number {
  const value = readDecimal(text);
  const { min, max } = LIMITS.tolerance;
  if (!Object.is(value, -0) && value >= min && value <= max) return value;
  throw new BadInputError(
    `--${name} is ${quote(text)}, must be a number from ${min} to ${max}`,
  );
}
