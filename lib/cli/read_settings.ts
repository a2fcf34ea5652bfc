/** From the values of flags to settings; each is checked against its limits. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { GateTolerances } from "../gate/gate_rules.ts";
import {
  BACKEND_CHOICES,
  DEFAULT_SETTINGS,
  LIMITS,
  PHASES,
  type QuantizeSettings,
  SMOOTHING_METHODS,
} from "../settings.ts";
import { MISSING_POLICIES, type MissingPolicy } from "./flags.ts";
import { readChoice } from "../base/read_choice.ts";
import type { Bits } from "../types.ts";

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
  return { ...settings, ...readPhase(text) };
}

type PhaseSettings = Pick<
  QuantizeSettings,
  "phase" | "smoothingWindow" | "smoothingMethod" | "markovWeight"
>;

/** Reads how parameters are chosen; a flag that the phase has no use for was meant for another. */
function readPhase(text: (name: string) => string | undefined): PhaseSettings {
  const { phase, smoothingWindow, smoothingMethod, markovWeight } = DEFAULT_SETTINGS;
  const settings: PhaseSettings = { phase, smoothingWindow, smoothingMethod, markovWeight };
  const name = text("phase");
  if (name !== undefined) settings.phase = readChoice("--phase", name, PHASES);
  const need = (flag: string, isMet: boolean, needed: string) => {
    if (isMet) return;
    throw new BadInputError(`--${flag} needs ${needed}: the phase is ${quote(settings.phase)}`);
  };
  const window = text("smoothing-window");
  if (window !== undefined) {
    need("smoothing-window", settings.phase !== "baseline", "--phase smooth or optimize");
    settings.smoothingWindow = readInteger("smoothing-window", window, LIMITS.smoothingWindow);
  }
  const method = text("smoothing-method");
  if (method !== undefined) {
    const isSmoothed = settings.phase === "smooth" || settings.smoothingWindow !== undefined;
    need(
      "smoothing-method",
      isSmoothed,
      "--phase smooth, or --phase optimize --smoothing-window N",
    );
    settings.smoothingMethod = readChoice("--smoothing-method", method, SMOOTHING_METHODS);
  }
  const weight = text("markov-weight");
  if (weight !== undefined) {
    need("markov-weight", settings.phase === "optimize", "--phase optimize");
    settings.markovWeight = readNumber("markov-weight", weight, LIMITS.markovWeight);
  }
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
    return value === undefined ? undefined : readNumber(name, value, LIMITS.tolerance);
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

function readNumber(
  name: string,
  text: string,
  { min, max }: { min: number; max: number },
): number {
  const value = readDecimal(text);
  if (!Object.is(value, -0) && value >= min && value <= max) return value;
  throw new BadInputError(
    `--${name} is ${quote(text)}, must be a number from ${min} to ${max}`,
  );
}
