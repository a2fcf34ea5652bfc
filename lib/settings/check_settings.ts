/** The only judge of a setting, for the command line and for programs alike. */

import { BadInputError } from "../base/errors.ts";
import { compilePattern } from "../base/match_pattern.ts";
import { quote } from "../base/text.ts";
import {
  checkValue,
  numberAbove,
  numberBetween,
  oneOf,
  type ValueRule,
  wholeNumber,
} from "../base/value_rules.ts";
import { checkFormat } from "./check_format.ts";
import {
  ACTIVATION_RANGES,
  ACTIVATION_WIDTHS,
  BACKEND_CHOICES,
  CODE_WIDTHS,
  DEFAULT_SETTINGS,
  FORMATS,
  GRANULARITIES,
  GROUPINGS,
  LIMITS,
  MODULATIONS,
  OUTLIER_INPUTS,
  PHASES,
  type QuantizeSettings,
  SMOOTHING_METHODS,
  TIMESTEP_WEIGHTS,
  WHOLE_ROW,
  WIDTHS,
} from "./settings.ts";

/** A setting as messages name it, and what it may be. */
interface SettingRule extends ValueRule {
  subject: string;
}

const optional = (rule: ValueRule): ValueRule => ({
  ...rule,
  accepts: (value) => value === undefined || rule.accepts(value),
});

const orRow = ({ allowed, accepts }: ValueRule): ValueRule => ({
  allowed: `${allowed}, or ${WHOLE_ROW}`,
  accepts: (value) => value === WHOLE_ROW || accepts(value),
});

const SWITCH: ValueRule = {
  allowed: "true or false",
  accepts: (value) => typeof value === "boolean",
};

const listOf = (kind: string): ValueRule => ({
  allowed: `a list of texts, each ${kind}`,
  accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
});

const FILE: ValueRule = {
  allowed: "the path of a file",
  accepts: (value) => typeof value === "string" && value !== "",
};

const FOLDER: ValueRule = {
  allowed: "the name of a folder of the pipeline",
  accepts: (value) => typeof value === "string" && /^[^./\\\p{C}][^/\\\p{C}]*$/u.test(value),
};

/** In the order in which they are judged; `overwrite` and `link` stand beside the settings of a run. */
const RULES: Record<keyof QuantizeSettings | "overwrite" | "link", SettingRule> = {
  bits: { subject: "--bit-width", ...oneOf(WIDTHS) },
  timeGroups: { subject: "--num-time-groups", ...wholeNumber(LIMITS.timeGroups) },
  granularity: { subject: "--granularity", ...oneOf(GRANULARITIES) },
  groupSize: { subject: "--group-size", ...optional(orRow(wholeNumber(LIMITS.groupSize))) },
  format: { subject: "--format", ...oneOf(FORMATS) },
  symmetric: { subject: "--symmetric", ...SWITCH },
  modulation: { subject: "--modulation", ...oneOf(MODULATIONS) },
  threshold: { subject: "--smoothness-threshold", ...numberAbove(LIMITS.threshold) },
  ignore: { subject: "--ignore", ...listOf("a pattern") },
  components: { subject: "--component", ...listOf("a name") },
  defaultIgnore: { subject: "defaultIgnore (--no-default-ignore)", ...SWITCH },
  strict: { subject: "--strict", ...SWITCH },
  phase: { subject: "--phase", ...oneOf(PHASES) },
  smoothingWindow: {
    subject: "--smoothing-window",
    ...optional(wholeNumber(LIMITS.smoothingWindow)),
  },
  smoothingMethod: { subject: "--smoothing-method", ...oneOf(SMOOTHING_METHODS) },
  markovWeight: {
    subject: "--markov-weight",
    ...optional(numberBetween(LIMITS.markovWeight)),
  },
  calibration: { subject: "--calibration", ...optional(FILE) },
  timestepWeights: { subject: "--timestep-weights", ...optional(oneOf(TIMESTEP_WEIGHTS)) },
  activationBits: { subject: "--activation-bits", ...optional(oneOf(ACTIVATION_WIDTHS)) },
  activationRange: { subject: "--activation-range", ...optional(oneOf(ACTIVATION_RANGES)) },
  grouping: { subject: "--grouping", ...optional(oneOf(GROUPINGS)) },
  outlierInputs: { subject: "--outlier-inputs", ...oneOf(OUTLIER_INPUTS) },
  backend: { subject: "--backend", ...oneOf(BACKEND_CHOICES) },
  overwrite: { subject: "--overwrite", ...optional(SWITCH) },
  link: { subject: "--link", ...optional(SWITCH) },
};

/** How flags were written that gave a setting. */
export type SettingTexts = ReadonlyMap<keyof QuantizeSettings, string>;

/**
 * Checks the settings of a run: each by itself, then those that go together.
 *
 * @param settings Of unknown kind: a program need not keep to the types.
 * @param texts The flags given. Without them those settings count as given that are not the default.
 * @throws {BadInputError} A setting is one that no flag could give, or that the phase has no use for.
 */
export function checkSettings(
  settings: unknown,
  texts?: SettingTexts,
): asserts settings is QuantizeSettings {
  if (typeof settings !== "object" || settings === null) {
    throw new BadInputError("The settings of the run are missing: start from DEFAULT_SETTINGS");
  }
  const values = settings as Record<string, unknown>;
  const known = Object.keys(RULES);
  const unknown = Object.keys(values).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new BadInputError(`Unknown setting ${quote(unknown)}: expected ${known.join(", ")}`);
  }
  for (const [key, rule] of Object.entries(RULES)) {
    const text = texts?.get(key as keyof QuantizeSettings);
    checkValue(rule.subject, values[key], rule, text);
  }
  const checked = settings as QuantizeSettings;
  for (const pattern of checked.ignore) compilePattern(pattern);
  checkComponents(checked.components);
  checkFormat(checked);
  checkTogether(checked, (key) => texts?.has(key) ?? checked[key] !== DEFAULT_SETTINGS[key]);
}

/** Names of components: each stays in the pipeline, and is given once. */
function checkComponents(names: readonly string[]): void {
  for (const [i, name] of names.entries()) {
    checkValue(RULES.components.subject, name, FOLDER, name);
    if (names.indexOf(name) === i) continue;
    throw new BadInputError(`--component ${quote(name)} is given twice: give it once`);
  }
}

/** A setting that the phase has no use for was meant for another one. */
function checkTogether(
  {
    granularity,
    groupSize,
    defaultIgnore,
    phase,
    smoothingWindow,
    timeGroups,
    calibration,
    timestepWeights,
    activationBits,
  }: QuantizeSettings,
  isGiven: (key: keyof QuantizeSettings) => boolean,
): void {
  if (groupSize === WHOLE_ROW && granularity !== "row") {
    throw new BadInputError(
      `--group-size ${WHOLE_ROW} needs --granularity row: it is ${quote(granularity)}`,
    );
  }
  if (!defaultIgnore && isGiven("modulation")) {
    throw new BadInputError(
      "--modulation needs the default ignore list: with --no-default-ignore modulation layers are " +
        "quantized like the others: leave one of the two out",
    );
  }
  const isSmoothed = phase === "smooth" || phase === "optimize" && smoothingWindow !== undefined;
  const need = (key: keyof QuantizeSettings, isMet: boolean, needed: string) => {
    if (isMet || !isGiven(key)) return;
    throw new BadInputError(
      `${RULES[key].subject} needs ${needed}: the phase is ${quote(phase)}`,
    );
  };
  need("smoothingWindow", phase !== "baseline", "--phase smooth or optimize");
  need("smoothingMethod", isSmoothed, "--phase smooth, or --phase optimize --smoothing-window N");
  need("markovWeight", phase === "optimize", "--phase optimize");
  need(
    "calibration",
    phase === "optimize" || activationBits !== undefined,
    "--phase optimize, or --activation-bits",
  );
  if (activationBits !== undefined && calibration === undefined) {
    throw new BadInputError(
      "--activation-bits needs --calibration: what a layer is fed is not known without",
    );
  }
  for (const key of ["activationRange", "grouping", "outlierInputs"] as const) {
    if (activationBits !== undefined || !isGiven(key)) continue;
    throw new BadInputError(
      `${RULES[key].subject} needs --activation-bits: inputs are not quantized without`,
    );
  }
  if (timestepWeights !== undefined && calibration === undefined) {
    throw new BadInputError(
      "--timestep-weights needs --calibration: there are no timesteps without",
    );
  }
  if (isSmoothed && timeGroups === 1) {
    throw new BadInputError(
      "Cannot smooth 1 time group: it has no boundary: " +
        "give --num-time-groups 2 or more, or leave smoothing out",
    );
  }
}

/**
 * Checks the width of a code of weights or inputs.
 *
 * @throws {BadInputError} It is not 2, 4, 6 or 8.
 */
export function checkCodeWidth(bits: unknown): void {
  checkValue("--bit-width or --activation-bits", bits, oneOf(CODE_WIDTHS));
}

/**
 * Checks the width of a code, as {@linkcode checkSettings} does.
 *
 * @throws {BadInputError} It is not 2, 4 or 8.
 */
export function checkBits(bits: unknown): void {
  checkValue(RULES.bits.subject, bits, RULES.bits);
}

/**
 * Checks the curve of smoothing, as {@linkcode checkSettings} does.
 *
 * @throws {BadInputError} It is not linear, cubic or sigmoid.
 */
export function checkSmoothingMethod(method: unknown): void {
  checkValue(RULES.smoothingMethod.subject, method, RULES.smoothingMethod);
}

/**
 * Checks what a figure may lose in a gate.
 *
 * @param flag The flag that gives it, with its dashes.
 * @param isCount Whether it counts something.
 * @param text How it was written, if it was.
 * @throws {BadInputError} It is no number, or no whole one, from 0 to 1000.
 */
export function checkTolerance(
  flag: string,
  value: unknown,
  isCount: boolean,
  text?: string,
): void {
  const rule = isCount ? wholeNumber(LIMITS.tolerance) : numberBetween(LIMITS.tolerance);
  checkValue(flag, value, rule, text);
}

/**
 * Checks the threshold of violations, as {@linkcode checkSettings} does.
 *
 * @throws {BadInputError} It is no number above 0 and at most 10.
 */
export function checkThreshold(threshold: unknown): void {
  checkValue(RULES.threshold.subject, threshold, RULES.threshold);
}
