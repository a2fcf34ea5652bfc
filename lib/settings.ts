/** Every setting of a run: its default, its limits and the reason for them; and the only judge of them. */

import { BadInputError } from "./base/errors.ts";
import { compilePattern } from "./base/match_pattern.ts";
import { quote } from "./base/text.ts";
import {
  checkValue,
  numberAbove,
  numberBetween,
  oneOf,
  type ValueRule,
  wholeNumber,
} from "./base/value_rules.ts";
import type { BackendChoice, Bits, Granularity, Phase, SmoothingMethod } from "./types.ts";

/** What a run is asked to do with a model. */
export interface QuantizeSettings {
  /** Width of a code. Default 2. */
  bits: Bits;
  /** Time groups G, 1 to 1000. Default 4. */
  timeGroups: number;
  /** What shares parameters: the blocks of a row, or all rows of a time group. Default `row`. */
  granularity: Granularity;
  /**
   * Columns of a block, a multiple of 16; `"row"`: one block for each row. Default `undefined`:
   * {@linkcode DEFAULT_GROUP_SIZE} by rows, one block for each slice by slices.
   */
  groupSize: number | "row" | undefined;
  /** Scale jump above which a boundary is a violation, above 0 and at most 10. Default 0.3. */
  threshold: number;
  /** Patterns of layers to leave alone. Default none. */
  ignore: readonly string[];
  /** Whether the built-in list of sensitive layers is left alone as well. Default true. */
  defaultIgnore: boolean;
  /**
   * Whether it is an error that `groupSize` does not suit the columns of a layer, or that a layer has
   * fewer rows than there are time groups. Default false.
   */
  strict: boolean;
  /** How parameters are chosen. Default `baseline`. */
  phase: Phase;
  /**
   * Steps on each side of a boundary over which parameters move, 1 to 20. Default `undefined`:
   * {@linkcode DEFAULT_WINDOWS} in phase smooth, no smoothing in phase optimize.
   */
  smoothingWindow: number | undefined;
  /** The curve along which they move. Default `linear`. */
  smoothingMethod: SmoothingMethod;
  /**
   * Phase optimize: what a jump of 1 at a boundary costs, 0 to 1000. Default `undefined`: 0 by rows, 1
   * by slices, see {@linkcode markovWeightOf}.
   */
  markovWeight: number | undefined;
  /** What computes. Default `auto`: the fastest, which is `wasm`; all give the same bytes. */
  backend: BackendChoice;
}

/** Columns of a block by rows, unless another size is given: what runtimes have kernels for. */
export const DEFAULT_GROUP_SIZE = 128;

/**
 * Steps on each side of a boundary over which phase smooth moves parameters, unless told otherwise. By rows
 * one is enough for a score of 0.98 and more and costs nothing; five cost a small model of 8 bits 0.5 dB,
 * and 2 dB where the windows cover most of its rows.
 */
export const DEFAULT_WINDOWS: Record<Granularity, number> = { row: 1, slice: 5 };

/** Scale jump above which a boundary is a violation, unless another threshold is given. */
export const DEFAULT_THRESHOLD = 0.3;

/** The settings of a run without flags. */
export const DEFAULT_SETTINGS: QuantizeSettings = {
  bits: 2,
  timeGroups: 4,
  granularity: "row",
  groupSize: undefined,
  threshold: DEFAULT_THRESHOLD,
  ignore: [],
  defaultIgnore: true,
  strict: false,
  phase: "baseline",
  smoothingWindow: undefined,
  smoothingMethod: "linear",
  markovWeight: undefined,
  backend: "auto",
};

/** Limits of the numeric settings. */
export const LIMITS = {
  /** More groups than the 1000 timesteps of the usual noise schedule make no sense. */
  timeGroups: { min: 1, max: 1000 },
  /**
   * Below 16 columns a block's scale and zero point cost as much as its 2-bit codes; multiples of 16
   * keep each block on whole 32-bit words.
   */
  groupSize: { min: 16, max: 65536, multiple: 16 },
  /** A jump is relative: 10 is elevenfold, and nothing a model does. */
  threshold: { above: 0, max: 10 },
  /** Wider windows than 20 steps no longer belong to a boundary. */
  smoothingWindow: { min: 1, max: 20 },
  /** A jump of 1 is a scale that doubles; at 1000 nothing else counts. */
  markovWeight: { min: 0, max: 1000 },
  /** What a figure may lose: no score or share is larger than 1, and 1000 dB or violations are anything. */
  tolerance: { min: 0, max: 1000 },
} as const;

/** Widths of a code. */
export const WIDTHS = [2, 4, 8] as const satisfies Bits[];

/** What `--backend` may name. */
export const BACKEND_CHOICES = [
  "auto",
  "webgpu",
  "wasm",
  "reference",
] as const satisfies BackendChoice[];

/** What `--granularity` may name. */
export const GRANULARITIES = ["row", "slice"] as const satisfies Granularity[];

/** What `--group-size` says where each row is one block. */
const WHOLE_ROW = "row";

/** What `--phase` may name. */
export const PHASES = ["baseline", "smooth", "optimize"] as const satisfies Phase[];

/** What `--smoothing-method` may name. */
export const SMOOTHING_METHODS = [
  "linear",
  "cubic",
  "sigmoid",
] as const satisfies SmoothingMethod[];

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

const PATTERNS: ValueRule = {
  allowed: "a list of texts, each a pattern",
  accepts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
};

/** In the order in which they are judged; `overwrite` stands beside the settings of a run. */
const RULES: Record<keyof QuantizeSettings | "overwrite", SettingRule> = {
  bits: { subject: "--bit-width", ...oneOf(WIDTHS) },
  timeGroups: { subject: "--num-time-groups", ...wholeNumber(LIMITS.timeGroups) },
  granularity: { subject: "--granularity", ...oneOf(GRANULARITIES) },
  groupSize: { subject: "--group-size", ...optional(orRow(wholeNumber(LIMITS.groupSize))) },
  threshold: { subject: "--smoothness-threshold", ...numberAbove(LIMITS.threshold) },
  ignore: { subject: "--ignore", ...PATTERNS },
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
  backend: { subject: "--backend", ...oneOf(BACKEND_CHOICES) },
  overwrite: { subject: "--overwrite", ...optional(SWITCH) },
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
  checkTogether(checked, (key) => texts?.has(key) ?? checked[key] !== DEFAULT_SETTINGS[key]);
}

/** A setting that the phase has no use for was meant for another one. */
function checkTogether(
  { granularity, groupSize, phase, smoothingWindow, timeGroups }: QuantizeSettings,
  isGiven: (key: keyof QuantizeSettings) => boolean,
): void {
  if (groupSize === WHOLE_ROW && granularity !== "row") {
    throw new BadInputError(
      `--group-size ${WHOLE_ROW} needs --granularity row: it is ${quote(granularity)}`,
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
  if (isSmoothed && timeGroups === 1) {
    throw new BadInputError(
      "Cannot smooth 1 time group: it has no boundary: " +
        "give --num-time-groups 2 or more, or leave smoothing out",
    );
  }
}

/** Columns of a block as a run asks for them; `null`: one block a row, or one a slice. */
export function groupSizeOf(
  { granularity, groupSize }: Pick<QuantizeSettings, "granularity" | "groupSize">,
): number | null {
  if (groupSize === WHOLE_ROW) return null;
  return groupSize ?? (granularity === "row" ? DEFAULT_GROUP_SIZE : null);
}

/** The block size of a run as a message names it. */
export function describeGroupSize(
  settings: Pick<QuantizeSettings, "granularity" | "groupSize">,
): string {
  const isGiven = settings.groupSize !== undefined;
  return `--group-size ${groupSizeOf(settings) ?? WHOLE_ROW}${isGiven ? "" : ", the default,"}`;
}

/** What a jump of 1 costs in phase optimize, unless told otherwise; see {@linkcode markovWeightOf}. */
export const DEFAULT_MARKOV_WEIGHTS: Record<Granularity, number> = { row: 0, slice: 1 };

/**
 * What a jump of 1 costs in phase optimize. By rows a time group's mean hardly moves, and the ratio that
 * brings it nearer to its neighbour's is paid for by every block of the group: nothing is gained, so
 * nothing is weighed unless it is asked for.
 */
export function markovWeightOf(
  { granularity, markovWeight }: Pick<QuantizeSettings, "granularity" | "markovWeight">,
): number {
  return markovWeight ?? DEFAULT_MARKOV_WEIGHTS[granularity];
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
