/** The report as the text of a file. */

import type { Report } from "./build_report.ts";

/** Characters of a piece, about. */
const PIECE_LENGTH = 2 ** 20;

/**
 * The report as text, piece by piece, since that of 100,000 layers takes as much memory as all that is known of
 * them: two-space JSON with each entry of a list on one line, so that a diff shows which layer changed.
 */
export function* formatPieces(report: Report): Generator<string> {
  let piece = "";
  for (const part of formatParts(report)) {
    piece += part;
    if (piece.length < PIECE_LENGTH) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

function* formatParts(report: Report): Generator<string> {
  let before = "{\n";
  for (const [key, value] of Object.entries(report) as [string, unknown][]) {
    yield `${before}  ${JSON.stringify(key)}: `;
    before = ",\n";
    if (Array.isArray(value) && typeof value[0] === "object") {
      let start = "[\n";
      for (const row of value) {
        yield `${start}    ${JSON.stringify(row)}`;
        start = ",\n";
      }
      yield "\n  ]";
    } else {
      yield JSON.stringify(value);
    }
  }
  yield "\n}\n";
}
