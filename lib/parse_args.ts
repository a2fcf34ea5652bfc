/** From command line arguments to settings, or to one line that says what is wrong with them. */

import { parseArgs as parseTokens } from "node:util";
import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";
import {
  type Command,
  COMMANDS,
  DEFAULT_REPORT,
  DEFAULT_SETTINGS,
  type Flag,
  FLAGS,
  LIMITS,
  type QuantizeSettings,
} from "./options.ts";
import type { Bits } from "./types.ts";

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
  /** Settings of a run. */
  settings: QuantizeSettings;
  /** JSON report. */
  report: string;
  /** Switches. */
  overwrite: boolean;
  /** Plan only. */
  dryRun: boolean;
  /** JSON on standard output. */
  json: boolean;
  /** Log each layer. */
  verbose: boolean;
}

/** Values by flag name. */
type Values = Map<string, string[]>;

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
  const directory = help ? "" : readOperand(command, operands);
  const required = (name: string) => {
    const value = text(name);
    if (value === undefined && !help) {
      throw new BadInputError(
        `Missing --${name} DIR: see isotherm ${command === "quantize" ? "" : `${command} `}--help`,
      );
    }
    return value ?? "";
  };
  const paths = {
    quantize: () => ({
      model: required("model"),
      output: values.has("dry-run") ? text("output") ?? "" : required("output"),
    }),
    inspect: () => ({ model: directory, output: "" }),
    verify: () => ({ model: required("against"), output: directory }),
  };
  return {
    command,
    help,
    ...paths[command](),
    settings: readSettings(values),
    report: text("report") ?? DEFAULT_REPORT,
    overwrite: values.has("overwrite"),
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

/** The closest of some words, if one is close enough to have been meant. */
async function nearest(word: string, words: readonly string[]): Promise<string | undefined> {
  // Loaded only to answer a mistake, so that it costs no start-up time.
  const { closest, distance } = (await import("npm:fastest-levenshtein@1.0.16")).default;
  const part = words.find((one) =>
    word.length >= 3 && (one.startsWith(word) || one.endsWith(word))
  );
  const near = part ?? closest(word, words);
  return part !== undefined || distance(word, near) <= Math.max(2, near.length / 3)
    ? near
    : undefined;
}

function readOperand(command: Command, operands: readonly string[]): string {
  const [directory, extra] = operands;
  if (command === "quantize") {
    if (directory === undefined) return "";
    throw new BadInputError(
      `Unexpected argument ${quote(directory)}: give directories with --model and --output`,
    );
  }
  if (directory === undefined || directory === "") {
    throw new BadInputError(`Missing the directory to ${command}: isotherm ${command} DIR`);
  }
  if (extra !== undefined) {
    throw new BadInputError(`Unexpected argument ${quote(extra)}: ${command} takes one directory`);
  }
  return directory;
}

function readSettings(values: Values): QuantizeSettings {
  const text = (name: string) => values.get(name)?.[0];
  const settings = {
    ...DEFAULT_SETTINGS,
    ignore: values.get("ignore") ?? [],
    defaultIgnore: !values.has("no-default-ignore"),
    strict: values.has("strict"),
  };
  const bits = text("bit-width");
  if (bits !== undefined) settings.bits = readBits(bits);
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
  return settings;
}

function readBits(text: string): Bits {
  if (text === "2" || text === "4" || text === "8") return Number(text) as Bits;
  throw new BadInputError(`--bit-width is ${quote(text)}, must be 2, 4 or 8`);
}

function readInteger(
  name: string,
  text: string,
  limits: { min: number; max: number; multiple?: number },
): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
  const { min, max, multiple = 1 } = limits;
  if (value >= min && value <= max && value % multiple === 0) return value;
  const kind = multiple > 1 ? `a multiple of ${multiple}` : "a whole number";
  throw new BadInputError(`--${name} is ${quote(text)}, must be ${kind} from ${min} to ${max}`);
}

function readThreshold(text: string): number {
  const value = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN;
  const { above, max } = LIMITS.threshold;
  if (value > above && value <= max) return value;
  throw new BadInputError(
    `--smoothness-threshold is ${quote(text)}, must be a number above ${above} and at most ${max}`,
  );
}
