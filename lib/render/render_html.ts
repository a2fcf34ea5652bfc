/** Renders a report as one page that needs nothing else: no network, no other file. */

import activationsTemplate from "../../templates/activations.eta" with { type: "text" };
import boundariesTemplate from "../../templates/boundaries.eta" with { type: "text" };
import calibrationTemplate from "../../templates/calibration.eta" with { type: "text" };
import comparedTemplate from "../../templates/compared.eta" with { type: "text" };
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
import { judgeQuality } from "../report/judge_quality.ts";
import { fillTemplate, loadEngine } from "./fill_template.ts";
import {
  type ComparisonView,
  gradeBaseline,
  labelReports,
  PHASE_BASELINE,
  viewComparison,
  viewComparisons,
  viewPhaseComparison,
} from "./html_comparison.ts";
import { viewActivations } from "./html_activations.ts";
import { drawableDrift, viewCalibration } from "./html_calibration.ts";
import { type LabelledReport, pageData } from "./html_data.ts";
import { carryJson } from "./html_json.ts";
import { viewMeaning } from "./html_meaning.ts";
import { pageParts } from "./html_page.ts";
import { loadCharts } from "./load_charts.ts";
import { viewVerdict } from "./html_verdict.ts";
import { viewReport } from "./html_view.ts";
import type { AdvisedCommand } from "./repeat_command.ts";
import { nameReports } from "./name_reports.ts";
import type { ComparisonLabels } from "./render_comparison.ts";
import type { ReportFigures } from "../report/report_figures.ts";
import { countNouns, escapeText } from "../base/text.ts";
import { compareWithPhaseBaseline } from "../compare/compare_with_phase_baseline.ts";

const TEMPLATES = {
  report: pageTemplate,
  score: scoreTemplate,
  pictures: picturesTemplate,
  activations: activationsTemplate,
  calibration: calibrationTemplate,
  comparison: comparisonTemplate,
  compared: comparedTemplate,
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

/** What a page of many reports is told besides them. */
export interface ComparisonOptions {
  /** What baseline and reports are called, as their files; default: `Baseline`, `Report 1` and so on. */
  labels?: ComparisonLabels;
  /** The baseline where it is no whole report: its figures are graded. */
  baseline?: ReportFigures;
}

/** Most reports whose charts are overlaid; each has a color of its own. */
const MOST_DRAWN = 9;

/** Many reports of a page, named and compared. */
interface ManyReports {
  /** All that can be drawn, the subject first. */
  reports: [LabelledReport, ...LabelledReport[]];
  /** The subject compared with the baseline. */
  comparison: Comparison;
  /** What the page says of all comparisons. */
  view: ComparisonView;
  /** The name of a baseline that cannot be drawn. */
  undrawn: string[];
}

/**
 * Renders reports beside the baseline that they were compared with, and overlays their charts.
 *
 * @param reports One for each comparison, in their order, and before them the baseline where it is a whole report.
 * The last one is what the rest of the page is about.
 * @param comparisons Each report compared with the baseline, at least one.
 * @returns The same text for the same reports.
 * @throws {RangeError} Reports, comparisons and labels are not as many as that.
 */
export async function renderComparisonHtml(
  reports: readonly Report[],
  comparisons: readonly Comparison[],
  { labels, baseline }: ComparisonOptions = {},
): Promise<string> {
  const count = comparisons.length;
  if (count === 0) throw new RangeError("Cannot compare reports: there is none");
  const isWhole = reports.length === count + 1;
  if (!isWhole && reports.length !== count) {
    throw new RangeError(
      `Cannot compare ${reports.length} reports by ${countNouns(count, "comparison")}: ` +
        `give ${count}, or ${count + 1} with the baseline first`,
    );
  }
  if (labels !== undefined && labels.currents.length !== count) {
    throw new RangeError(`Cannot name ${count} reports by ${labels.currents.length} labels`);
  }
  const names = nameReports(comparisons, labels);
  const compared = reports.slice(isWhole ? 1 : 0).map((report, i) => ({
    report,
    label: names.currents[i]!,
    comparison: comparisons[i]!,
  }));
  const subject = compared.at(-1)!;
  const figures = isWhole ? judgeQuality(reports[0]!) : baseline && gradeBaseline(baseline);
  return await renderPage("Comparison", subject.report, {}, {
    reports: [
      subject,
      ...isWhole ? [{ report: reports[0]!, label: names.baseline }] : [],
      ...compared.slice(0, -1),
    ],
    comparison: subject.comparison,
    view: viewComparisons({ baseline: names.baseline, reports: compared, grades: figures ?? null }),
    undrawn: isWhole ? [] : [`${escapeText(names.baseline)} (no whole report)`],
  });
}

async function renderPage(
  kind: string,
  report: Report,
  options: HtmlOptions,
  many?: ManyReports,
): Promise<string> {
  const { comparison = many?.comparison, others = [], pictures, advised } = options;
  const own = compareWithPhaseBaseline(report);
  const changes = comparison ?? own?.comparison;
  const reports = many?.reports ?? labelReports(report, others, comparison);
  if (own !== undefined && reports.length === 1) {
    reports.push({ report: own.baseline, label: PHASE_BASELINE });
  }
  const alike = reports.filter((one) => one.report.num_time_groups === report.num_time_groups);
  const overlaid = alike.slice(0, MOST_DRAWN);
  const drift = drawableDrift(report.calibration?.drift);
  const { text: data, charted } = pageData([reports[0], ...overlaid.slice(1)], changes, drift);
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
    calibration: report.calibration && viewCalibration(report.calibration, drift),
    activations: report.activations && viewActivations(report.activations),
    readings: viewMeaning(report),
    first: many === undefined ? [] : [many.view],
    comparisons: [
      ...own === undefined ? [] : [viewPhaseComparison(report, own.comparison)],
      ...comparison === undefined || many !== undefined ? [] : [viewComparison(report, comparison)],
    ],
    labels: overlaid.map(({ label }) => escapeText(label)),
    notOverlaid: [
      ...many?.undrawn ?? [],
      ...reports.filter((one) => !alike.includes(one)).map(({ label, report: other }) =>
        `${escapeText(label)} (${countNouns(other.num_time_groups, "time group")})`
      ),
      ...alike.slice(MOST_DRAWN).map(({ label }) =>
        `${escapeText(label)} (more than ${MOST_DRAWN} reports)`
      ),
    ],
    charted: formatCount(charted),
    data,
    json: carryJson(report),
  });
}
