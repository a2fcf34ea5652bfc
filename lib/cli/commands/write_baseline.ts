/** Puts a baseline in place. */

import { formatBaseline } from "../../gate/format_baseline.ts";
import type { ReportFigures } from "../../report/report_figures.ts";
import { writeText } from "./write_text.ts";

/**
 * Writes a baseline beside its target and renames it.
 *
 * @param onWritten Called when it is written and before it is in place; what it throws undoes it.
 */
export function writeBaseline(
  path: string,
  figures: ReportFigures,
  onWritten: () => void,
): Promise<void> {
  return writeText(path, () => formatBaseline(figures), onWritten);
}
