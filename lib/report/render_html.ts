/** Renders a report as one page that needs nothing else: no network, no other file. */

import boundariesTemplate from "../../templates/boundaries.eta" with { type: "text" };
import comparisonTemplate from "../../templates/comparison.eta" with { type: "text" };
import detailsTemplate from "../../templates/details.eta" with { type: "text" };
import layersTemplate from "../../templates/layers.eta" with { type: "text" };
import pageTemplate from "../../templates/report.eta" with { type: "text" };
import scoreTemplate from "../../templates/score.eta" with { type: "text" };
import tableTemplate from "../../templates/table.eta" with { type: "text" };
import { drawChart, type Series } from "../../templates/client/chart.js";
import { formatCount } from "../../templates/client/format.js";
import type { Comparison } from "../gate/comparison.ts";
import { qmaxOf } from "../types.ts";
import type { Report } from "./build_report.ts";
import { fillTemplate } from "./fill_template.ts";
import { labelReports, viewComparison } from "./html_comparison.ts";
import { detailedLayers, type LabelledReport, modelSeries, pageData } from "./html_data.ts";
import { toMarkup } from "./html_markup.ts";
import { pageParts } from "./html_page.ts";
import { viewReport } from "./html_view.ts";

const TEMPLATES = {
  report: pageTemplate,
  score: scoreTemplate,
  comparison: comparisonTemplate,
  boundaries: boundariesTemplate,
  layers: layersTemplate,
  table: tableTemplate,
  details: detailsTemplate,
};

/** Width at which the chart is drawn until a script knows the room there is. */
const CHART_WIDTH = 960;

/** What a page shows besides its report. */
export interface HtmlOptions {
  /** The report compared with a baseline. */
  comparison?: Comparison;
  /** Reports whose charts are overlaid; those with other time groups are not. */
  others?: readonly Report[];
}

/**
 * Renders a report as a page.
 *
 * @returns The same text for the same report.
 */
export function renderHtml(report: Report, options: HtmlOptions = {}): Promise<string> {
  return renderPage("Quantization report", report, options);
}

/**
 * Renders several reports side by side.
 *
 * @param reports The last one is what the page is about; the others are overlaid.
 * @param comparison The last report compared with a baseline.
 */
export async function renderComparisonHtml(
  reports: readonly Report[],
  comparison: Comparison,
): Promise<string> {
  const report = reports.at(-1);
  if (report === undefined) throw new RangeError("Cannot compare reports: there is none");
  return await renderPage("Comparison", report, { comparison, others: reports.slice(0, -1) });
}

async function renderPage(kind: string, report: Report, options: HtmlOptions): Promise<string> {
  const { comparison, others = [] } = options;
  const reports = labelReports(report, others, comparison);
  const overlaid = reports.filter((one) => one.report.num_time_groups === report.num_time_groups);
  const left = reports.filter((one) => !overlaid.includes(one));
  const charted = detailedLayers(report, overlaid.length);
  return fillTemplate(TEMPLATES, "report", {
    kind,
    ...await pageParts(),
    ...viewReport(report, comparison),
    comparison: comparison && viewComparison(reports, comparison),
    labels: overlaid.map(({ label }) => label),
    notOverlaid: left.map(({ label }) => label),
    charted: charted < report.layers.length ? formatCount(charted) : null,
    chart: drawModel(report, overlaid),
    data: pageData([reports[0], ...overlaid.slice(1)], comparison),
  });
}

/** The chart of the model as markup, for where no script runs. */
function drawModel(report: Report, overlaid: readonly LabelledReport[]): string {
  const series = overlaid.flatMap(({ report }): Series[] => {
    const packed = modelSeries(report);
    if (packed === null) return [];
    const [scale, zero, jump, zeroJump, score, severity, rows] = packed;
    return [{ scale, zero, jump, zeroJump, score, severity, rows }];
  });
  if (series.length === 0) return "";
  return toMarkup(drawChart({
    series,
    groups: report.num_time_groups,
    threshold: report.smoothness_threshold,
    qmax: qmaxOf(report.bit_width),
    width: CHART_WIDTH,
  }));
}
