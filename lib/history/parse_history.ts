/** From the text of a history, a line of JSON for each entry, to its entries; and one entry more. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { checkValue } from "../base/value_rules.ts";
import { findProblem, isObject, type Schema } from "../report/check_schema.ts";
import { GRADES } from "../report/grades.ts";
import { parseJson } from "../report/parse_report.ts";
import { COMMIT } from "./commit.ts";
import { HISTORY_VERSION, type HistoryEntry } from "./entry.ts";
import { identify } from "./identify.ts";

const AMOUNT: Schema = { type: "number", minimum: 0 };
const COUNT: Schema = { type: "integer", minimum: 0 };
const SCORE: Schema = { type: ["number", "null"], minimum: 0, maximum: 1 };
const SQNR: Schema = { type: ["number", "null"] };
const MEASURE: Schema = { enum: ["weights", "outputs"] };

/** Most characters of a line: an entry has one or two thousand, and what is read of a line is garbage at the next. */
const MAX_LINE = 2 ** 18;

/** An object all of whose keys have to be there, but for some. */
function objectOf(properties: Record<string, Schema>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: "object", required, properties };
}

const ENTRY = objectOf({
  schema_version: { const: HISTORY_VERSION },
  commit: { type: ["string", "null"] },
  model_name: { type: "string" },
  settings: { type: "object" },
  smoothness_score: SCORE,
  violation_count: COUNT,
  layers_with_violations: COUNT,
  grade: { enum: GRADES.map(({ grade }) => grade) },
  measure: MEASURE,
  sqnr_db: SQNR,
  output_sqnr_db: { type: "number" },
  model_size_mb: AMOUNT,
  bits_per_weight: AMOUNT,
  quantization_time_s: AMOUNT,
  baseline: objectOf({
    smoothness_score: SCORE,
    least_smoothness_score: { type: ["number", "null"] },
    measure: MEASURE,
    sqnr_db: SQNR,
    least_sqnr_db: SQNR,
    model_size_mb: AMOUNT,
    most_model_size_mb: AMOUNT,
  }),
}, ["output_sqnr_db", "baseline"]);

/**
 * Reads a history; an empty text is one without entries.
 *
 * @returns Its entries, the oldest first.
 * @throws {BadInputError} A line is no entry; the message names the line, from 1 on, and no file.
 */
export function parseHistory(text: string): HistoryEntry[] {
  const lines = linesOf(text);
  return lines.map((line, i) => {
    const isCut = i === lines.length - 1 && !text.endsWith("\n");
    try {
      if (line.length > MAX_LINE) {
        throw new BadInputError(`it has ${line.length} characters, must have at most ${MAX_LINE}`);
      }
      return parseEntry(line);
    } catch (error) {
      if (!(error instanceof BadInputError)) throw error;
      throw new BadInputError(`line ${i + 1}${isCut ? ", cut short" : ""}: ${error.message}`);
    }
  });
}

/** A history with one entry more. */
export interface Appended {
  /** The text of the history; every other line is as it was. */
  text: string;
  /** Whether an entry of the same commit, model and settings gave way, as after a second run of a job. */
  replaced: boolean;
  /** Entries in it. */
  count: number;
}

/**
 * Adds an entry at the end of a history, or puts it in the place of the one of the same commit, model and settings.
 *
 * @param text The history; empty for a new one.
 * @throws {BadInputError} A line is no entry; the message names the line and no file.
 */
export function appendToHistory(text: string, entry: HistoryEntry): Appended {
  const { commit } = entry;
  const identity = identify(entry);
  const place = parseHistory(text).findLastIndex((one) =>
    commit !== null && one.commit === commit && identify(one) === identity
  );
  const line = JSON.stringify(entry);
  const lines = linesOf(text);
  const all = place === -1 ? [...lines, line] : lines.with(place, line);
  return { text: `${all.join("\n")}\n`, replaced: place !== -1, count: all.length };
}

/** The lines of a text; what follows the last line break is one, unless it is empty. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

function parseEntry(line: string): HistoryEntry {
  const value = parseJson(line);
  if (!isObject(value) || !Object.hasOwn(value, "schema_version")) {
    throw new BadInputError("it is no entry of a history: it has no schema_version");
  }
  const { schema_version: version, commit, measure, output_sqnr_db: output } = value;
  if (version !== HISTORY_VERSION) {
    const shown = typeof version === "number" ? String(version) : "no number";
    throw new BadInputError(
      `its schema_version is ${shown}, this version of Isotherm reads ${HISTORY_VERSION}`,
    );
  }
  const problem = findProblem(value, ENTRY) ?? findSettingProblem(value.settings as object);
  if (problem !== undefined) throw new BadInputError(problem);
  if (commit !== null) checkValue("commit", commit, COMMIT);
  if (measure === "outputs" && output === undefined) {
    throw new BadInputError("output_sqnr_db is missing, and measure says that it was graded");
  }
  return takeKnown(value, ENTRY) as unknown as HistoryEntry;
}

/** What a schema names of an object: all entries are in memory at once, and what else they hold may be large. */
function takeKnown(value: Record<string, unknown>, { properties = {} }: Schema): object {
  const known = Object.entries(properties).filter(([key]) => Object.hasOwn(value, key));
  return Object.fromEntries(known.map(([key, schema]) => {
    const part = value[key];
    return [key, isObject(part) && schema.properties ? takeKnown(part, schema) : part];
  }));
}

function findSettingProblem(settings: object): string | undefined {
  const isPlain = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);
  const isText = (value: unknown) => typeof value === "string";
  const wrong = Object.entries(settings).find(([, value]) =>
    !(isPlain(value) || Array.isArray(value) && value.every(isText))
  );
  if (wrong === undefined) return undefined;
  return `settings holds ${
    quote(wrong[0])
  }, which must be text, a number, a switch or a list of texts`;
}
