/** Reads reports, baselines and rules from files; the only part of the gate that does. */

import { describeIoError, isBelowFile, isMissing } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError, BaselineError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Report } from "./build_report.ts";
import { openSource } from "../safetensors/read.ts";
import { isObject } from "./check_schema.ts";
import { parseFigures, parseJson, parseReport } from "./parse_report.ts";
import type { ReportFigures } from "./report_figures.ts";

/** Largest file read, in bytes: a report of 100,000 layers over 100 time groups has less. */
const MAX_BYTES = 256_000_000;

/** Largest history read, in bytes: 10,000 entries and more. */
const MAX_HISTORY_BYTES = 10_000_000;

/**
 * Reads what is compared of the report in question.
 *
 * @throws {BadInputError} It is missing, broken or of another schema.
 */
export function loadFigures(path: string): ReportFigures {
  return readAs("report", path, parseFigures);
}

/**
 * Reads a whole report, as a page shows it.
 *
 * @throws {BadInputError} It is missing, broken or of another schema.
 */
export function loadReport(path: string): Report {
  return readAs("report", path, parseReport);
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
    return exists(path) ? readAs("baseline", path, parseFigures) : undefined;
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    throw new BaselineError(error.message);
  }
}

/**
 * Reads a file of rules.
 *
 * @param parse Reads the text; what it refuses is told with the file's name.
 * @throws {BadInputError} It is missing or broken.
 */
export function loadRules<T>(path: string, parse: (text: string) => T): T {
  return readAs("rules", path, parse);
}

/**
 * Reads a history of runs.
 *
 * @param parse Reads the text; what it refuses is told with the file's name.
 * @throws {BadInputError} It is missing, broken or too large.
 */
export function loadHistory<T>(path: string, parse: (text: string) => T): T {
  return readAs("history", path, parse, MAX_HISTORY_BYTES);
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
  report: (text: string) => {
    const value = parseJson(text);
    return isObject(value) && Object.hasOwn(value, "schema_version");
  },
  log: (text: string) => /^Quantizing .+ to INT\d/m.test(text),
  page: (text: string) => text.includes('<meta name="generator" content="Isotherm '),
  badge: (text: string) => {
    const value = parseJson(text);
    return isObject(value) && value.schemaVersion === 1 && value.label === "isotherm";
  },
} as const;

/**
 * Whether a run, and nobody else, has left a file.
 *
 * @throws {BadInputError} It cannot be read.
 */
export function isLeftByRun(path: string, kind: keyof typeof MARKS): boolean {
  const problem = `Cannot read the ${kind} ${quote(path)}`;
  const bytes = readBytes(path, problem);
  try {
    return MARKS[kind](decodeText(bytes, problem));
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    return false;
  }
}

/** What to do about a file of each kind that cannot be used. */
const REMEDY = {
  report: "write it again with isotherm --report FILE",
  baseline: "remove it and write it again with isotherm baseline update CURRENT --to FILE",
  rules: "correct it, or leave it out",
  history: "correct or remove that line",
} as const;

function readAs<T>(
  kind: keyof typeof REMEDY,
  path: string,
  parse: (text: string) => T,
  limit = MAX_BYTES,
): T {
  const problem = `Cannot read the ${kind} ${quote(path)}`;
  const text = decodeText(readBytes(path, problem, limit), problem);
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    throw new BadInputError(`${problem}: ${error.message}: ${REMEDY[kind]}`);
  }
}

function readBytes(path: string, problem: string, limit = MAX_BYTES): Uint8Array {
  const source = openSource(path, path);
  try {
    if (source.byteLength > limit) {
      throw new BadInputError(
        `${problem}: it has ${source.byteLength} bytes, ${limit} are allowed`,
      );
    }
    const bytes = new Uint8Array(source.byteLength);
    source.readInto(0, bytes);
    return bytes;
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
