/** The commands that repeat a run, and that follow the advice it gave. */

import type { Advice } from "../report/advise.ts";
import type { Report } from "../report/build_report.ts";
import {
  activationRangeOf,
  DEFAULT_SETTINGS,
  groupingOf,
  groupSizeOf,
} from "../settings/settings.ts";

/** Where the files of a run lie, of which its report says nothing but the model's name. */
export interface RunPaths {
  /** The model's directory. */
  model: string;
  /** The directory of the checkpoint. */
  output: string;
  /** The report; absent: where it goes unless told otherwise. */
  report?: string;
  /** The page; absent: none. */
  html?: string | undefined;
  /** The calibration, or where one would be put. */
  calibration: string;
}

/**
 * How the program is started, as a shell reads it.
 *
 * @param entry Path or address of `cli.ts`; by default in a checkout of it.
 */
export function startProgram(entry = "cli.ts"): string {
  return "npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. " +
    quoteForShell(entry);
}

/** Names in place of paths. */
function namePaths({ model_name, bit_width }: Report): RunPaths {
  return {
    model: model_name,
    output: `${model_name}-int${bit_width}`,
    calibration: "calibration.safetensors",
  };
}

/**
 * The arguments that repeat a run, but for the paths where they are not given.
 *
 * @returns As a program is given them: not quoted.
 */
export function repeatArguments(report: Report, paths: RunPaths = namePaths(report)): string[] {
  return [...settingsOf(report, paths), "--backend", report.backend];
}

/** The command that repeats a run, to be pasted into a shell. */
export function repeatCommand(report: Report): string {
  return [startProgram(), ...repeatArguments(report).map(quoteForShell)].join(" ");
}

/** How an advice is followed. */
export interface AdvisedCommand {
  /** Path or address of `cli.ts`. Default: in a checkout of it. */
  entry?: string | undefined;
  /** Where the files of the run lie: that of the advice replaces them. Default: names stand for them. */
  paths?: RunPaths | undefined;
}

/** The command that follows the advice of a report, to be pasted into a shell; `null`: no run is advised. */
export function adviseCommand(
  report: Report,
  { change }: Advice,
  { entry, paths = namePaths(report) }: AdvisedCommand = {},
): string | null {
  if (change === null) return null;
  const { needs_calibration, ignore = [], ...figures } = change;
  const changed: Report = {
    ...report,
    ...figures,
    ignore: [...report.ignore, ...ignore.map((name) => patternOf(name, report))],
  };
  // What a phase takes no setting of is not given.
  if (change.phase !== undefined) Object.assign(changed, { markov_weight: null });
  const { report: file, html } = paths;
  return [
    startProgram(entry),
    ...[
      ...settingsOf(changed, paths),
      ...needs_calibration ? ["--calibration", paths.calibration] : [],
      ...file === undefined ? [] : ["--report", file],
      ...html === undefined ? [] : ["--html-report", html],
      "--overwrite",
    ].map(quoteForShell),
  ].join(" ");
}

/** A pattern that matches one layer: its name in its own component, with any character for those of a glob. */
function patternOf(name: string, { components = [] }: Report): string {
  const component = components.find((one) => name.startsWith(`${one.name}/`))?.name;
  const own = component === undefined ? name : name.slice(component.length + 1);
  return own.startsWith("re:") ? `?${own.slice(1)}` : own.replaceAll(/[*?[\]]/g, "?");
}

function settingsOf(report: Report, paths: RunPaths): string[] {
  const { bit_width, num_time_groups, smoothness_threshold } = report;
  const { granularity, phase, smoothing_window, smoothing_method, markov_weight } = report;
  const { format, modulation, default_ignore, components = [], calibration } = report;
  const { weights = null } = calibration ?? {};
  // Without the default ignore list it is not asked.
  const isUsualModulation = modulation === DEFAULT_SETTINGS.modulation || !default_ignore;
  const given = (flag: string, value: string | number | null) =>
    value === null ? [] : [flag, String(value)];
  return [
    ...["--model", paths.model],
    ...["--output", paths.output],
    ...["--bit-width", String(bit_width)],
    ...["--num-time-groups", String(num_time_groups)],
    ...given("--granularity", granularity === "row" ? null : granularity),
    ...given("--group-size", groupSizeArgument(report)),
    ...given("--format", format === DEFAULT_SETTINGS.format ? null : format),
    ...(report.symmetric ? ["--symmetric"] : []),
    ...given("--modulation", isUsualModulation ? null : modulation),
    // With "=", since a name or a pattern may begin with a dash.
    ...components.map(({ name }) => `--component=${name}`),
    ...["--smoothness-threshold", String(smoothness_threshold)],
    ...given("--phase", phase === "baseline" ? null : phase),
    ...given("--smoothing-window", smoothing_window),
    ...given("--smoothing-method", smoothing_method),
    ...given("--markov-weight", markov_weight),
    ...(calibration === undefined ? [] : ["--calibration", paths.calibration]),
    ...given("--timestep-weights", weights === "recorded" ? null : weights),
    ...given("--activation-bits", report.activation_bits),
    ...given(
      "--activation-range",
      report.activation_range === activationRangeOf({ phase, activationRange: undefined })
        ? null
        : report.activation_range,
    ),
    ...given(
      "--grouping",
      report.grouping === groupingOf({ phase, grouping: undefined }) ? null : report.grouping,
    ),
    ...given(
      "--outlier-inputs",
      report.outlier_inputs === DEFAULT_SETTINGS.outlierInputs ? null : report.outlier_inputs,
    ),
    ...(default_ignore ? [] : ["--no-default-ignore"]),
    ...report.ignore.map((pattern) => `--ignore=${pattern}`),
  ];
}

/** The block size as it has to be given; `null`: it is the default, which a narrow model could not be given. */
function groupSizeArgument(report: Report): number | "row" | null {
  const { granularity, format, bit_width: bits, group_size } = report;
  const usual = groupSizeOf({ granularity, format, bits, groupSize: undefined });
  return group_size === usual ? null : group_size ?? "row";
}

/**
 * Quotes an argument for bash, so that it is one line of visible characters.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(quoteForShell("blocks.0"), "blocks.0");
 * assert.equal(quoteForShell("*it's*"), String.raw`'*it'\''s*'`);
 * assert.equal(quoteForShell("a\n"), String.raw`$'a\u000a'`);
 * ```
 */
export function quoteForShell(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  const hidden = /[\p{C}\p{Zl}\p{Zp}]/gu;
  if (!hidden.test(text)) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const escaped = text.replaceAll(/[\\']/g, String.raw`\$&`).replaceAll(hidden, (char) => {
    const code = char.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
  return `$'${escaped}'`;
}
