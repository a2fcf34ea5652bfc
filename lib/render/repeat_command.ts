/** The command that repeats a run. */

import type { Report } from "../report/build_report.ts";
import { DEFAULT_SETTINGS, groupSizeOf } from "../settings/settings.ts";

/** What stands for the path of a calibration, of which a report keeps nothing. */
const CALIBRATION = "calibration.safetensors";

/**
 * The arguments that repeat a run, but for the paths: of that of the model a report keeps only the name, of
 * that of a calibration nothing.
 *
 * @returns As a program is given them: not quoted.
 */
export function repeatArguments(report: Report): string[] {
  const { model_name, bit_width, num_time_groups, smoothness_threshold } = report;
  const { granularity, phase, smoothing_window, smoothing_method, markov_weight } = report;
  const { format, modulation, default_ignore, components = [], calibration } = report;
  const { weights = null } = calibration ?? {};
  // Without the default ignore list it is not asked.
  const isUsualModulation = modulation === DEFAULT_SETTINGS.modulation || !default_ignore;
  const given = (flag: string, value: string | number | null) =>
    value === null ? [] : [flag, String(value)];
  return [
    ...["--model", model_name],
    ...["--output", `${model_name}-int${bit_width}`],
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
    ...(calibration === undefined ? [] : ["--calibration", CALIBRATION]),
    ...given("--timestep-weights", weights === "recorded" ? null : weights),
    ...(default_ignore ? [] : ["--no-default-ignore"]),
    ...report.ignore.map((pattern) => `--ignore=${pattern}`),
    ...["--backend", report.backend],
  ];
}

/** The block size as it has to be given; `null`: it is the default, which a narrow model could not be given. */
function groupSizeArgument(report: Report): number | "row" | null {
  const { granularity, format, bit_width: bits, group_size } = report;
  const usual = groupSizeOf({ granularity, format, bits, groupSize: undefined });
  return group_size === usual ? null : group_size ?? "row";
}

/** The command that repeats a run, to be pasted into a shell. */
export function repeatCommand(report: Report): string {
  const command = "deno run --no-prompt --allow-read --allow-write=. cli.ts";
  return [command, ...repeatArguments(report).map(quoteForShell)].join(" ");
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
