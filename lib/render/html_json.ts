/** The JSON of a report as its page carries it, so that it can be copied and saved from there. */

import { formatBytes } from "../../templates/client/format.js";
import type { Report } from "../report/build_report.ts";
import { formatPieces } from "../report/format_report.ts";

/** Most bytes of JSON that a page carries. */
const MAX_JSON = 1_000_000;

/** Longest part of a model's name in that of a file. */
const MOST_NAME = 80;

/** The JSON of a report. */
export interface CarriedJson {
  /** Its text as a JSON string that can stand inside a script element; `null`: it is too long. */
  text: string | null;
  /** The name of a file for it. */
  name: string;
  /** How long it is, in words. */
  size: string;
}

/** Puts the JSON of a report into a page. */
export function carryJson(report: Report): CarriedJson {
  const utf8 = new TextEncoder();
  let text = "";
  let bytes = 0;
  for (const piece of formatPieces(report)) {
    bytes += utf8.encode(piece).length;
    if (bytes <= MAX_JSON) text += piece;
  }
  const model = report.model_name.replaceAll(/[^\w.-]+/g, "-").slice(0, MOST_NAME);
  return {
    text: bytes > MAX_JSON ? null : quoteForScript(text),
    name: `${model}-report.json`,
    size: formatBytes(bytes),
  };
}

/** A JSON string of ASCII alone: names may hold what ends a script or turns text around. */
function quoteForScript(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[<\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
