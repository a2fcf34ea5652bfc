/** The badge of a history: its newest entry in a word and a figure. */

import type { Grade } from "../report/grades.ts";
import { gradedSqnr, type HistoryEntry } from "./entry.ts";

/** A badge as endpoints of badge services give it. */
export interface Badge {
  /** Version of this layout. */
  schemaVersion: 1;
  /** What it is about. */
  label: string;
  /** The grade and the SQNR that was graded. */
  message: string;
  /** Of the grade. */
  color: string;
}

const COLORS: Record<Grade, string> = {
  excellent: "brightgreen",
  good: "green",
  fair: "yellow",
  poor: "orange",
  broken: "red",
};

/**
 * The badge of an entry.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const badge = makeBadge({ grade: "good", measure: "weights", sqnr_db: 20.31 });
 * assert.deepEqual([badge.message, badge.color], ["good, 20.3 dB", "green"]);
 * ```
 */
export function makeBadge(
  entry: Pick<HistoryEntry, "grade" | "measure" | "sqnr_db" | "output_sqnr_db">,
): Badge {
  const sqnr = gradedSqnr(entry);
  return {
    schemaVersion: 1,
    label: "isotherm",
    message: `${entry.grade}, ${sqnr === null ? "no error" : `${sqnr.toFixed(1)} dB`}`,
    color: COLORS[entry.grade],
  };
}
