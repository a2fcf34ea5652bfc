/** From command line arguments to settings, or to one line that says what is wrong with them. */

import { parseArgs as parseTokens } from "node:util";
import { BadInputError } from "../base/errors.ts";
import { loadEngineFor } from "../base/match_pattern.ts";
import { quote } from "../base/text.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import { type Command, COMMANDS, DEFAULT_REPORT, type Flag, FLAGS } from "./flags.ts";
import { type HistoryFlags, readHistoryFlags } from "./read_history_flags.ts";
import { readOperands } from "./read_operands.ts";
import { type GateFlags, readGateFlags, readSettings, type Values } from "./read_settings.ts";

/** What the command line asks for. */
export interface Invocation {
  /** The command. */
  command: Command;
  /** Whether its help is wanted instead. */
  help: boolean;
  /** The model directory: `--model`, `--against`, or what `inspect` names. */
  model: string;
  /** The directory to create, or the one `verify` names. */
  output: string;
  /** Reports that `compare`, `gate`, `baseline update` and `history` name; a baseline first. */
  files: string[];
  /** Settings of a run. */
  settings: QuantizeSettings;
  /** What `gate` goes by. */
  gate: GateFlags;
  /** What `history` is to do. */
  history: HistoryFlags;
  /** JSON report. */
  report: string;
  /** A report that `verify` holds against the checkpoint. */
  checkedReport: string | undefined;
  /** The report as a page. */
  htmlReport: string | undefined;
  /** Report or baseline to compare a run with. */
  compare: string | undefined;
  /** The baseline, history or badge to write. */
  to: string;
  /** Switches. */
  overwrite: boolean;
  /** Whether what is not quantized becomes hard links. */
  link: boolean;
  /** Plan only. */
  dryRun: boolean;
  /** JSON on standard output. */
  json: boolean;
  /** Log each layer. */
  verbose: boolean;
}

/** `inspect` takes no phase: with a calibration it is about the one that takes calibrations. */
const INSPECTED: Partial<QuantizeSettings> = { phase: "optimize" };

/**
 * Reads the command line.
 *
 * @throws {BadInputError} A flag or value is wrong; the message gives the nearest right one.
 */
export async function parseArgs(argv: readonly string[]): Promise<Invocation> {
  const { command, rest } = await splitCommand(argv);
  const { values, operands } = await readFlags(rest, command);
  const text = (name: string) => values.get(name)?.[0];
  const help = values.has("help");
  const files = help ? [] : readOperands(command, operands);
  const [directory = ""] = files;
  await loadEngineFor(values.get("ignore") ?? []);
  const required = (name: string) => {
    const value = text(name);
    if (value === undefined && !help) {
      const kind = FLAGS.find((flag) => flag.name === name)!.value;
      throw new BadInputError(
        `Missing --${name} ${kind}: see isotherm ${
          command === "quantize" ? "" : `${command} `
        }--help`,
      );
    }
    return value ?? "";
  };
  const none = { model: "", output: "", files: [], to: "" };
  const paths = {
    quantize: () => ({
      ...none,
      model: required("model"),
      output: values.has("dry-run") ? text("output") ?? "" : required("output"),
    }),
    inspect: () => ({ ...none, model: directory }),
    verify: () => ({ ...none, model: required("against"), output: directory }),
    compare: () => ({ ...none, files }),
    gate: () => ({ ...none, files }),
    baseline: () => ({ ...none, files, to: required("to") }),
    backends: () => none,
    history: () => ({ ...none, files, to: text("to") ?? "" }),
  };
  return {
    command,
    help,
    ...paths[command](),
    settings: readSettings(values, command === "inspect" ? INSPECTED : {}),
    gate: readGateFlags(values),
    history: readHistoryFlags(command === "history" && !help ? operands : [], values),
    report: text("report") ?? DEFAULT_REPORT,
    checkedReport: command === "verify" ? text("report") : undefined,
    htmlReport: text("html-report"),
    compare: text("compare"),
    overwrite: values.has("overwrite"),
    link: values.has("link"),
    dryRun: values.has("dry-run"),
    json: values.has("json"),
    verbose: values.has("verbose"),
  };
}

async function splitCommand(
  argv: readonly string[],
): Promise<{ command: Command; rest: readonly string[] }> {
  const [first] = argv;
  if (first === undefined || first.startsWith("-")) return { command: "quantize", rest: argv };
  const command = COMMANDS.find((name) => name === first);
  if (command !== undefined) return { command, rest: argv.slice(1) };
  const near = await nearest(first, COMMANDS);
  const hint = near ? `did you mean ${near}?` : `expected ${COMMANDS.join(", ")} or flags`;
  throw new BadInputError(`Unknown command ${quote(first)}: ${hint}`);
}

async function readFlags(
  args: readonly string[],
  command: Command,
): Promise<{ values: Values; operands: string[] }> {
  const known = FLAGS.filter(({ commands }) => commands.includes(command));
  const options = Object.fromEntries(known.map(({ name, value }) => [
    name,
    { type: value === undefined ? "boolean" as const : "string" as const },
  ]));
  const { tokens } = parseTokens({
    args: [...args],
    options: { ...options, h: { type: "boolean" } },
    strict: false,
    tokens: true,
  });
  const values: Values = new Map();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const name = token.name === "h" ? "help" : token.name;
    const flag = known.find((one) => one.name === name);
    if (flag === undefined) throw await unknownFlag(token.rawName, command, known);
    // The tokenizer takes whatever comes next: another flag there means that the value was forgotten.
    const forgotten = token.inlineValue === false && token.value.startsWith("--");
    const value = flagValue(flag, forgotten ? undefined : token.value);
    if (values.has(name) && !flag.repeatable && flag.value !== undefined) {
      throw new BadInputError(`--${name} is given twice: give it once`);
    }
    values.set(name, [...values.get(name) ?? [], value]);
  }
  return { values, operands };
}

function flagValue(flag: Flag, value: string | undefined): string {
  if (flag.value === undefined) {
    if (value === undefined) return "";
    throw new BadInputError(`--${flag.name} takes no value, ${quote(value)} given: leave it out`);
  }
  if (value === undefined || value === "") {
    throw new BadInputError(`--${flag.name} needs a value: --${flag.name} ${flag.value}`);
  }
  return value;
}

async function unknownFlag(
  raw: string,
  command: Command,
  known: readonly Flag[],
): Promise<BadInputError> {
  const near = await nearest(raw.replace(/^-+/, ""), known.map(({ name }) => name));
  const hint = near ? `did you mean --${near}?` : `see isotherm ${command} --help`;
  return new BadInputError(`Unknown flag ${quote(raw)}: ${hint}`);
}

/** The closest of some words; the search is loaded only to answer a mistake, so it costs no start-up time. */
async function nearest(word: string, words: readonly string[]): Promise<string | undefined> {
  return await (await import("./find_nearest.ts")).findNearest(word, words);
}
