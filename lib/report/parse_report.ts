/** From the text of a report or baseline to its figures, checked once, here; reads no file. */

import { BadInputError } from "../base/errors.ts";
import { escapeText, quote } from "../base/text.ts";
import { type Report, SCHEMA_VERSION } from "./build_report.ts";
import schema from "./report.schema.json" with { type: "json" };
import { type JsonFeed, JsonSyntaxError } from "../safetensors/json_feed.ts";
import { scanPlainJson } from "../safetensors/scan_json.ts";
import { findProblem, isObject, type Schema } from "./check_schema.ts";
import { completeReport } from "./complete_report.ts";
import { FIGURE_KEYS, LAYER_KEYS, type ReportFigures } from "./report_figures.ts";

const REPORT: Schema = schema;

/** The report's schema, of which only what is compared has to be there. */
const FIGURES: Schema = {
  ...REPORT,
  required: [...FIGURE_KEYS, "layers"],
  $defs: { ...REPORT.$defs, layer: { ...REPORT.$defs!.layer, required: [...LAYER_KEYS] } },
};

/**
 * Reads what is compared of a report, or a baseline.
 *
 * @throws {BadInputError} The text is not one; the message says why and names no file.
 */
export function parseFigures(text: string): ReportFigures {
  return readFigures(text);
}

/**
 * Reads a whole report.
 *
 * @throws {BadInputError} The text is not one; the message says why and names no file.
 */
export function parseReport(text: string): Report {
  return readReport(text);
}

/** {@linkcode parseFigures} from a file. */
export function readFigures(source: string | JsonFeed): ReportFigures {
  return readAs(source, FIGURES) as ReportFigures;
}

/** {@linkcode parseReport} from a file. */
export function readReport(source: string | JsonFeed): Report {
  return readAs(source, REPORT) as Report;
}

/**
 * Reads strict JSON: no key twice, no number beyond the range of a double, and of bounded size.
 *
 * @throws {BadInputError} The text is something else.
 */
export function parseJson(source: string | JsonFeed): unknown {
  try {
    return scanPlainJson(source, readNumber);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new BadInputError(`it is not JSON: ${escapeText(error.message)}`);
  }
}

function readAs(source: string | JsonFeed, expected: Schema): unknown {
  const value = parseJson(source);
  if (!isObject(value) || !Object.hasOwn(value, "schema_version")) {
    throw new BadInputError("it is no report of Isotherm: it has no schema_version");
  }
  const report = completeReport(value);
  const problem = versionProblem(report.schema_version) ?? findProblem(report, expected) ??
    findTwins((report as unknown as ReportFigures).layers);
  if (problem !== undefined) throw new BadInputError(problem);
  return report;
}

function versionProblem(version: unknown): string | undefined {
  if (version === SCHEMA_VERSION) return undefined;
  const shown = typeof version === "number" ? String(version) : "no number";
  return `its schema_version is ${shown}, this version of Isotherm reads ${SCHEMA_VERSION}`;
}

function findTwins(layers: readonly { name: string }[]): string | undefined {
  const seen = new Set<string>();
  for (const { name } of layers) {
    if (seen.has(name)) return `it holds the layer ${quote(name)} twice`;
    seen.add(name);
  }
  return undefined;
}

function readNumber(literal: string): number {
  const number = Number(literal);
  if (Number.isFinite(number)) return number;
  throw new BadInputError(`the number ${escapeText(literal)} is out of range`);
}
