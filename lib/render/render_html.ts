/** Renders a report as one page that needs nothing else: no network, no other file. */

import boundariesTemplate from "../../templates/boundaries.eta" with { type: "text" };
import calibrationTemplate from "../../templates/calibration.eta" with { type: "text" };
import comparisonTemplate from "../../templates/comparison.eta" with { type: "text" };
import detailsTemplate from "../../templates/details.eta" with { type: "text" };
import filterTemplate from "../../templates/filter.eta" with { type: "text" };
import groupsTemplate from "../../templates/groups.eta" with { type: "text" };
import layerTemplate from "../../templates/layer.eta" with { type: "text" };
import layersTemplate from "../../templates/layers.eta" with { type: "text" };
import legendTemplate from "../../templates/legend.eta" with { type: "text" };
import meaningTemplate from "../../templates/meaning.eta" with { type: "text" };
import pageTemplate from "../../templates/report.eta" with { type: "text" };
import picturesTemplate from "../../templates/pictures.eta" with { type: "text" };
import scoreTemplate from "../../templates/score.eta" with { type: "text" };
import tableTemplate from "../../templates/table.eta" with { type: "text" };
import { formatCount } from "../../templates/client/format.js";
import type { Comparison } from "../report/comparison.ts";
import type { Report } from "../report/build_report.ts";
import { fillTemplate, loadEngine } from "./fill_template.ts";
import {
  labelReports,
  PHASE_BASELINE,
  viewComparison,
  viewPhaseComparison,
} from "./html_comparison.ts";
import { drawableDrift, viewCalibration } from "./html_calibration.ts";
import { pageData } from "./html_data.ts";
import { carryJson } from "./html_json.ts";
import { viewMeaning } from "./html_meaning.ts";
import { pageParts } from "./html_page.ts";
import { loadCharts } from "./load_charts.ts";
import { viewReport } from "./html_view.ts";
import { compareWithPhaseBaseline } from "../compare/compare_with_phase_baseline.ts";

const TEMPLATES = {
  report: pageTemplate,
  score: scoreTemplate,
  pictures: picturesTemplate,
  calibration: calibrationTemplate,
  comparison: comparisonTemplate,
  boundaries: boundariesTemplate,
  groups: groupsTemplate,
  legend: legendTemplate,
  layers: layersTemplate,
  layer: layerTemplate,
  filter: filterTemplate,
  table: tableTemplate,
  details: detailsTemplate,
  meaning: meaningTemplate,
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
  const { comparison, others = [], pictures } = options;
  const own = compareWithPhaseBaseline(report);
  const changes = comparison ?? own?.comparison;
  const reports = labelReports(report, others, comparison);
  if (own !== undefined && others.length === 0) {
    reports.push({ report: own.baseline, label: PHASE_BASELINE });
  }
  const overlaid = reports.filter((one) => one.report.num_time_groups === report.num_time_groups);
  const left = reports.filter((one) => !overlaid.includes(one));
  const drift = drawableDrift(report.calibration?.drift);
  const { text: data, charted } = pageData([reports[0], ...overlaid.slice(1)], changes, drift);
  const view = viewReport(
    report,
    changes,
    comparison === undefined ? "phase baseline of the same run" : "the baseline",
  );
  return fillTemplate(TEMPLATES, "report", {
    kind,
    ...await pageParts(),
    ...view,
    pictures,
    calibration: report.calibration && viewCalibration(report.calibration, drift),
    readings: viewMeaning(report),
    comparisons: [
      ...own === undefined ? [] : [viewPhaseComparison(own.comparison)],
      ...comparison === undefined ? [] : [viewComparison(reports, comparison)],
    ],
    labels: overlaid.map(({ label }) => label),
    notOverlaid: left.map(({ label }) => label),
    charted: formatCount(charted),
    data,
    json: carryJson(report),
  });
}
