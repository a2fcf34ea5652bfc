/** Reads reports, baselines and rules from files; the only part of the gate that does. */

import { describeIoError, isBelowFile, isMissing } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError, BaselineError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Report } from "./build_report.ts";
import { type JsonFeed, JsonSyntaxError } from "../safetensors/json_feed.ts";
import { DOCUMENT_DEPTH } from "../safetensors/json_limits.ts";
import { JsonReader } from "../safetensors/json_reader.ts";
import { feedSource, type FileSource, openSource } from "../safetensors/read.ts";
import { isObject } from "./check_schema.ts";
import { parseJson, readFigures, readReport } from "./parse_report.ts";
import type { ReportFigures } from "./report_figures.ts";

/** Largest file read as text, in bytes: a history of 10,000 entries has less, and rules have kilobytes. */
export const MAX_TEXT_BYTES = 10_000_000;

/** Bytes at the start of a file in which it is known again: a log's warnings stand before its first line. */
const HEAD_BYTES = 2 ** 20;

/**
 * Reads what is compared of the report in question.
 *
 * @throws {BadInputError} It is missing, broken or of another schema.
 */
export function loadFigures(path: string): ReportFigures {
  return readJsonAs("report", path, readFigures);
}

/**
 * Reads a whole report, as a page shows it.
 *
 * @throws {BadInputError} It is missing, broken or of another schema.
 */
export function loadReport(path: string): Report {
  return readJsonAs("report", path, readReport);
}

/** Reads a whole report, or nothing where a file is a baseline, which lacks what a page draws. */
export function findReport(path: string): Report | undefined {
  try {
    return loadReport(path);
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    return undefined;
  }
}

/**
 * Reads a baseline, or a report that is used as one.
 *
 * @throws {BaselineError} It is missing, broken or of another schema.
 */
export function loadBaseline(path: string): ReportFigures {
  const baseline = findBaseline(path);
  if (baseline !== undefined) return baseline;
  throw new BaselineError(
    `Cannot read the baseline ${quote(path)}: no such file or directory: ` +
      "write it with isotherm baseline update CURRENT --to FILE",
  );
}

/**
 * Reads a baseline if there is one.
 *
 * @returns `undefined` where no file has that name.
 * @throws {BaselineError} It is broken or of another schema.
 */
export function findBaseline(path: string): ReportFigures | undefined {
  try {
    return exists(path) ? readJsonAs("baseline", path, readFigures) : undefined;
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    throw new BaselineError(error.message);
  }
}

/**
 * Reads a file of rules.
 *
 * @param parse Reads the text; what it refuses is told with the file's name.
 * @throws {BadInputError} It is missing, broken or too large.
 */
export function loadRules<T>(path: string, parse: (text: string) => T): T {
  return readTextAs("rules", path, parse);
}

/**
 * Reads a history of runs.
 *
 * @param parse Reads the text; what it refuses is told with the file's name.
 * @throws {BadInputError} It is missing, broken or too large.
 */
export function loadHistory<T>(path: string, parse: (text: string) => T): T {
  return readTextAs("history", path, parse);
}

/** Whether anything has that name. */
export function exists(path: string): boolean {
  try {
    disk.statSync(path);
    return true;
  } catch (error) {
    if (isMissing(error) || isBelowFile(error)) return false;
    throw new BadInputError(`Cannot read ${quote(path)}: ${describeIoError(error)}`);
  }
}

/** How a file that a run has left is known, of whatever version. */
const MARKS = {
  report: (source: FileSource) => hasKey(source, "schema_version"),
  log: (source: FileSource) => /^Quantizing .+ to INT\d/m.test(readHead(source)),
  page: (source: FileSource) =>
    readHead(source).includes('<meta name="generator" content="Isotherm '),
  badge: (source: FileSource) => {
    const value = parseJson(feedSource(source));
    return isObject(value) && value.schemaVersion === 1 && value.label === "isotherm";
  },
} as const;

/**
 * Whether a run, and nobody else, has left a file.
 *
 * @throws {BadInputError} It cannot be read.
 */
export function isLeftByRun(path: string, kind: keyof typeof MARKS): boolean {
  const source = openSource(path, path);
  try {
    return MARKS[kind](source);
  } catch (error) {
    // What cannot be read at all is no file of another.
    if (!(error instanceof BadInputError) || error.message.startsWith("Cannot read")) throw error;
    return false;
  } finally {
    source.close();
  }
}

/** Whether a file is a JSON object with this key; nothing of it is kept, as it may be of any size. */
function hasKey(source: FileSource, wanted: string): boolean {
  const reader = new JsonReader(feedSource(source), DOCUMENT_DEPTH);
  let isThere = false;
  try {
    reader.readObject((key) => {
      isThere ||= key === wanted;
      reader.skipValue();
    });
    reader.finish();
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return false;
  }
  return isThere;
}

function readHead(source: FileSource): string {
  const bytes = new Uint8Array(Math.min(source.byteLength, HEAD_BYTES));
  source.readInto(0, bytes);
  return new TextDecoder().decode(bytes);
}

/** What to do about a file of each kind that cannot be used. */
const REMEDY = {
  report: "write it again with isotherm --report FILE",
  baseline: "remove it and write it again with isotherm baseline update CURRENT --to FILE",
  rules: "correct it, or leave it out",
  history: "correct or remove that line",
} as const;

/** Reads a document of any length; what is kept of it is limited. */
function readJsonAs<T>(
  kind: keyof typeof REMEDY,
  path: string,
  read: (feed: JsonFeed) => T,
): T {
  return withFile(kind, path, (source) => read(feedSource(source)));
}

function readTextAs<T>(kind: keyof typeof REMEDY, path: string, parse: (text: string) => T): T {
  return withFile(kind, path, (source, problem) => {
    if (source.byteLength > MAX_TEXT_BYTES) {
      throw new BadInputError(
        `${problem}: it has ${source.byteLength} bytes, ${MAX_TEXT_BYTES} are allowed`,
      );
    }
    const bytes = new Uint8Array(source.byteLength);
    source.readInto(0, bytes);
    return parse(decodeText(bytes, problem));
  });
}

/** Opens a file, and says of what is refused which file it is and what to do. */
function withFile<T>(
  kind: keyof typeof REMEDY,
  path: string,
  use: (source: FileSource, problem: string) => T,
): T {
  const problem = `Cannot read the ${kind} ${quote(path)}`;
  const source = openSource(path, path);
  try {
    return use(source, problem);
  } catch (error) {
    if (!(error instanceof BadInputError) || error.message.startsWith("Cannot read")) throw error;
    throw new BadInputError(`${problem}: ${error.message}: ${REMEDY[kind]}`);
  } finally {
    source.close();
  }
}

function decodeText(bytes: Uint8Array, problem: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new BadInputError(`${problem}: it is not UTF-8 text`);
    throw error;
  }
}
