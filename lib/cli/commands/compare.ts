/** `isotherm compare BASELINE CURRENT...`: how reports differ. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { compareReports } from "../../compare/compare_reports.ts";
import type { Comparison } from "../../report/comparison.ts";
import { findReport, loadBaseline, loadFigures, loadReport } from "../../report/load_report.ts";
import type { ReportFigures } from "../../report/report_figures.ts";
import type { Invocation } from "../parse_args.ts";
import { nameFiles } from "../../render/name_reports.ts";
import { renderComparison } from "../../render/render_comparison.ts";
import { writeWhole } from "../../safetensors/write.ts";
import { resolvePath } from "../../run/check_output.ts";
import { pendingFile } from "../../run/pending_output.ts";
import type { Io } from "./io.ts";

/** Runs the command. */
export async function compare({ files, htmlReport, json }: Invocation, io: Io): Promise<void> {
  const [baselineFile = "", ...currentFiles] = files;
  const currents = currentFiles.map(loadFigures);
  const baseline = loadBaseline(baselineFile);
  const comparisons = currents.map((current) => compareReports(baseline, current));
  const text = json
    ? `${JSON.stringify(comparisons, null, 2)}\n`
    : renderComparison(comparisons, { baseline: baselineFile, currents: currentFiles });
  if (htmlReport === undefined) return io.stdout(text);
  await writePage(htmlReport, files, baseline, comparisons, () => io.stdout(text));
}

/**
 * Writes the page: every report beside the baseline, their charts overlaid.
 *
 * @param onWritten Called before the page is put in place.
 */
async function writePage(
  path: string,
  files: readonly string[],
  baseline: ReportFigures,
  comparisons: readonly Comparison[],
  onWritten: () => void,
): Promise<void> {
  if (files.some((file) => resolvePath(file) === resolvePath(path))) {
    throw new BadInputError(
      `Cannot write ${quote(path)}: it is one of the reports compared: give another --html-report`,
    );
  }
  const [baselineFile = "", ...currentFiles] = files;
  const whole = findReport(baselineFile);
  const reports = [...whole === undefined ? [] : [whole], ...currentFiles.map(loadReport)];
  const [baselineName = "", ...currentNames] = nameFiles(files);
  const labels = { baseline: baselineName, currents: currentNames };
  const pending = pendingFile(path, undefined);
  try {
    const { renderComparisonHtml } = await import("../../render/render_html.ts");
    const page = await renderComparisonHtml(reports, comparisons, { labels, baseline });
    await writeWhole(pending.path, path, new TextEncoder().encode(page));
    onWritten();
    pending.commit();
  } finally {
    await pending.discard();
  }
}
