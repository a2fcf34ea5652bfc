/** Puts a baseline in place. */

import { formatBaseline } from "../../gate/format_baseline.ts";
import type { ReportFigures } from "../../report/report_figures.ts";
import { writeWhole } from "../../safetensors/write.ts";
import { pendingFile } from "../../run/pending_output.ts";

/**
 * Writes a baseline beside its target and renames it.
 *
 * @param onWritten Called when it is written and before it is in place; what it throws undoes it.
 */
export async function writeBaseline(
  path: string,
  figures: ReportFigures,
  onWritten: () => void,
): Promise<void> {
  const pending = pendingFile(path, undefined);
  try {
    await writeWhole(pending.path, path, new TextEncoder().encode(formatBaseline(figures)));
    onWritten();
    pending.commit();
  } finally {
    pending.discard();
  }
}
