/** The rows of a page's tables of reports beside a baseline. */

import type { Comparison, Direction } from "../report/comparison.ts";
import { formatDifference } from "./format_figure.ts";
import type { LabelledReport } from "./html_data.ts";

/** A report beside the baseline that it was compared with. */
export interface ComparedReport extends LabelledReport {
  /** The report compared with the baseline. */
  comparison: Comparison;
}

/** A row: a name, the baseline's figure and one of each report. */
export interface ComparedRow {
  /** What they are. */
  name: string;
  /** The baseline's. */
  baseline: string;
  /** What it was measured on; absent where that needs no word. */
  measure?: string;
  /** Those of the reports. */
  cells: ComparedCell[];
}

/** A figure of a report beside the baseline's. */
export interface ComparedCell {
  /** The figure. */
  value: string;
  /** How it moved; `null` where it cannot be compared. */
  direction: Direction | null;
  /** That in words, after its difference from the baseline's; empty where it cannot be compared. */
  moved: string;
  /** A few words more; empty: none. */
  note: string;
}

/** Shows a figure beside the baseline's; the difference to 3 significant digits, and none where it is the same. */
export function showCell(
  value: string,
  direction: Direction | null,
  difference: number | null = null,
  note = "",
): ComparedCell {
  const short = difference === null ? null : Number(difference.toPrecision(3));
  const words = [direction === "same" ? "" : formatDifference(short), direction ?? ""];
  return { value, direction, moved: words.filter((word) => word !== "").join(" "), note };
}
