/** Renders a report as one page that needs nothing else: no network, no other file. */

import boundariesTemplate from "../../templates/boundaries.eta" with { type: "text" };
import calibrationTemplate from "../../templates/calibration.eta" with { type: "text" };
import comparisonTemplate from "../../templates/comparison.eta" with { type: "text" };
import detailsTemplate from "../../templates/details.eta" with { type: "text" };
import layersTemplate from "../../templates/layers.eta" with { type: "text" };
import pageTemplate from "../../templates/report.eta" with { type: "text" };
import picturesTemplate from "../../templates/pictures.eta" with { type: "text" };
import scoreTemplate from "../../templates/score.eta" with { type: "text" };
import tableTemplate from "../../templates/table.eta" with { type: "text" };
import { drawChart, type Series } from "../../templates/client/chart.js";
import { formatCount } from "../../templates/client/format.js";
import type { Comparison } from "../report/comparison.ts";
import { qmaxOf } from "../types.ts";
import type { Report } from "../report/build_report.ts";
import { fillTemplate, loadEngine } from "./fill_template.ts";
import {
  labelReports,
  PHASE_BASELINE,
  viewComparison,
  viewPhaseComparison,
} from "./html_comparison.ts";
import { viewCalibration } from "./html_calibration.ts";
import { detailedLayers, type LabelledReport, modelSeries, pageData } from "./html_data.ts";
import { toMarkup } from "./html_markup.ts";
import { pageParts } from "./html_page.ts";
import { loadCharts } from "./load_charts.ts";
import { viewVerdict } from "./html_verdict.ts";
import { viewReport } from "./html_view.ts";
import type { AdvisedCommand } from "./repeat_command.ts";
import { compareWithPhaseBaseline } from "../compare/compare_with_phase_baseline.ts";

const TEMPLATES = {
  report: pageTemplate,
  score: scoreTemplate,
  pictures: picturesTemplate,
  calibration: calibrationTemplate,
  comparison: comparisonTemplate,
  boundaries: boundariesTemplate,
  layers: layersTemplate,
  table: tableTemplate,
  details: detailsTemplate,
};

/**
 * Loads what pages are made with. A run that makes a page at its end calls this before it begins to work: where a
 * package was never fetched and there is no network, hours of work would be lost over it.
 *
 * @throws {BadInputError} It cannot be loaded.
 */
export async function loadPageTools(): Promise<void> {
  await Promise.all([loadEngine(), loadCharts()]);
}

/** Width at which the chart is drawn until a script knows the room there is. */
const CHART_WIDTH = 960;

/** Pictures and figures of one's own that a page shows below its score, as of a demonstration. */
export interface Pictures {
  /** Heading of their section. */
  title: string;
  /** A few sentences above them; default none. */
  text?: string;
  /** The pictures, one below the other. */
  rows: readonly {
    /** What it is a picture of, in a few words. */
    label: string;
    /**
     * An `svg` element. It stands in the page as it is, so it must come from code that is trusted; the
     * page's policy allows no `style` in it. It should have `role="img"` and a name.
     */
    svg: string;
    /** What is to be said of it, such as its figures. */
    note: string;
  }[];
  /** A table below the pictures, a text for each heading in every row; the first one names the row. */
  table?: { headings: readonly string[]; rows: readonly (readonly string[])[] };
  /** Where they come from, a line at the end; default none. */
  credit?: string;
}

/** What a page shows besides its report. */
export interface HtmlOptions {
  /** The report compared with a baseline. */
  comparison?: Comparison;
  /** Reports whose charts are overlaid; those with other time groups are not. */
  others?: readonly Report[];
  /** Pictures below the score. */
  pictures?: Pictures;
  /** How the program is started and where the files of the run lie, for the command that is advised. */
  advised?: AdvisedCommand;
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
  const { comparison, others = [], pictures, advised } = options;
  const own = compareWithPhaseBaseline(report);
  const changes = comparison ?? own?.comparison;
  const reports = labelReports(report, others, comparison);
  if (own !== undefined && others.length === 0) {
    reports.push({ report: own.baseline, label: PHASE_BASELINE });
  }
  const overlaid = reports.filter((one) => one.report.num_time_groups === report.num_time_groups);
  const left = reports.filter((one) => !overlaid.includes(one));
  const charted = detailedLayers(report, overlaid.length);
  return fillTemplate(TEMPLATES, "report", {
    kind,
    ...await pageParts(),
    judgement: viewVerdict(report, advised),
    ...viewReport(
      report,
      changes,
      comparison === undefined ? "phase baseline of the same run" : "the baseline",
    ),
    pictures,
    calibration: viewCalibration(report),
    comparisons: [
      ...own === undefined ? [] : [viewPhaseComparison(own.comparison)],
      ...comparison === undefined ? [] : [viewComparison(reports, comparison)],
    ],
    labels: overlaid.map(({ label }) => label),
    notOverlaid: left.map(({ label }) => label),
    charted: charted < report.layers.length ? formatCount(charted) : null,
    chart: drawModel(report, overlaid),
    data: pageData([reports[0], ...overlaid.slice(1)], changes),
  });
}

/** The chart of the model as markup, for where no script runs. */
function drawModel(report: Report, overlaid: readonly LabelledReport[]): string {
  const series = overlaid.flatMap(({ report }): Series[] => {
    const packed = modelSeries(report);
    if (packed === null) return [];
    const [scale, zero, jump, zeroJump, score, severity, rows, ramp] = packed;
    return [{ scale, zero, jump, zeroJump, score, severity, rows, ramp }];
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
