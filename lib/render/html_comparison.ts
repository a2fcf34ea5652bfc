/** What a page says of a comparison, as plain texts for its template. */

import { formatCount, formatScore } from "../../templates/client/format.js";
import { countNouns, escapeText } from "../base/text.ts";
import type { Comparison, Direction, MetricChange } from "../report/comparison.ts";
import { type Grade, rankOf } from "../report/grades.ts";
import { type GradedQuality, judgeQuality } from "../report/judge_quality.ts";
import { labelOf, type MetricName, METRICS } from "../report/metrics.ts";
import type { Report } from "../report/build_report.ts";
import type { ReportFigures } from "../report/report_figures.ts";
import { formatFigure } from "./format_figure.ts";
import {
  type ComparedCell,
  type ComparedReport,
  type ComparedRow,
  showCell,
} from "./compared_rows.ts";
import { type ComparedLayers, viewLayers } from "./html_compared_layers.ts";
import type { LabelledReport } from "./html_data.ts";
import { nameSetting, showSetting } from "./name_setting.ts";

/** What the lines of a run's own baseline are called. */
export const PHASE_BASELINE = "Phase baseline";

/** What the report is called that a page is about. */
const SUBJECT = "This report";

/** The grades of a report, or of a baseline. */
export interface ComparedGrades {
  /** The verdict; `null` where it is not known. */
  verdict: Grade | null;
  /** The quality. */
  quality: GradedQuality;
}

/** Reports beside the baseline that all of them were compared with. */
export interface ComparedReports {
  /** What the baseline is called. */
  baseline: string;
  /** The reports, at least one; the subject of the page last. */
  reports: readonly ComparedReport[];
  /** Grades of the baseline; without them no grades are compared, `null`: they are not known. */
  grades?: ComparedGrades | null;
}

/** What the page says of a comparison. */
export interface ComparisonView {
  /** Id of its section. */
  id: string;
  /** What the links at the top call it. */
  link: string;
  /** Its heading. */
  title: string;
  /** What the page is about besides; empty where nothing else could be meant. */
  about: string;
  /** Names of baseline and reports, the columns of its tables. */
  heads: string[];
  /** Grades and figures. */
  figures: ComparedRow[];
  /** Settings that differ from the baseline's in any report. */
  settings: ComparedRow[];
  /** Scores of every boundary. */
  boundaries: ComparedRow[];
  /** The layers. */
  layers: ComparedLayers;
}

/**
 * Names the reports of a page.
 *
 * @param subject The report that the page is about.
 * @param others Reports that are overlaid.
 */
export function labelReports(
  subject: Report,
  others: readonly Report[],
  comparison: Comparison | undefined,
): [LabelledReport, ...LabelledReport[]] {
  const isBaseline = (report: Report) =>
    comparison?.metrics.every(({ metric, baseline }) => figureOf(report, metric) === baseline) ??
      false;
  let number = 0;
  const labelled = others.map((report) => {
    const name = isBaseline(report) ? "Baseline" : `Report ${++number}`;
    const label = report.phase === subject.phase ? name : `${name}, phase ${report.phase}`;
    return { report, label };
  });
  return [{ report: subject, label: SUBJECT }, ...labelled];
}

/**
 * Grades a baseline. Of smoothed parameters it does not keep the score that they have as they are stored, without
 * which there is no verdict.
 */
export function gradeBaseline(baseline: ReportFigures): ComparedGrades {
  const { verdict, quality } = judgeQuality(baseline);
  return { verdict: baseline.smoothing_window === null ? verdict : null, quality };
}

/** Puts the comparison of a page's report with another report or baseline into words. */
export function viewComparison(report: Report, comparison: Comparison): ComparisonView {
  return viewAgainst("Baseline", report, comparison, {
    id: "comparison",
    link: "Comparison",
    title: "Against the baseline",
  });
}

/** Puts a comparison with the run's own baseline into words. */
export function viewPhaseComparison(report: Report, comparison: Comparison): ComparisonView {
  return viewAgainst(PHASE_BASELINE, report, comparison, {
    id: "phase",
    link: "Phase",
    title: "Against phase baseline, in the same run",
  });
}

/** Puts the comparisons of many reports with one baseline into words. */
export function viewComparisons(compared: ComparedReports): ComparisonView {
  const last = escapeText(compared.reports.at(-1)!.label);
  const place = compared.reports.length === 1 ? "" : ", the last of the reports";
  return {
    id: "comparison",
    link: "Comparison",
    title: `${countNouns(compared.reports.length, "report")} against the baseline`,
    about: `All else on this page is about ${last}${place}.`,
    ...viewChanges(compared),
  };
}

function viewAgainst(
  baseline: string,
  report: Report,
  comparison: Comparison,
  section: Pick<ComparisonView, "id" | "link" | "title">,
): ComparisonView {
  const reports = [{ label: SUBJECT, report, comparison }];
  return { ...section, about: "", ...viewChanges({ baseline, reports }) };
}

function viewChanges(
  compared: ComparedReports,
): Omit<ComparisonView, "id" | "link" | "title" | "about"> {
  const { baseline, reports } = compared;
  const comparisons = reports.map(({ comparison }) => comparison);
  return {
    heads: [baseline, ...reports.map(({ label }) => label)].map(escapeText),
    figures: [...viewGrades(compared), ...viewFigures(comparisons)],
    settings: viewSettings(comparisons),
    boundaries: viewBoundaries(comparisons),
    layers: viewLayers(reports),
  };
}

function viewGrades({ grades, reports }: ComparedReports): ComparedRow[] {
  if (grades === undefined) return [];
  const judged = reports.map(({ report }) => judgeQuality(report));
  const cell = (before: Grade | null, after: Grade, note = "") =>
    showCell(after, before === null ? null : compareGrades(before, after), null, note);
  return [
    {
      name: "Verdict",
      baseline: grades?.verdict ?? "not known",
      cells: judged.map(({ verdict }) => cell(grades?.verdict ?? null, verdict)),
    },
    {
      name: "Quality grade",
      baseline: grades?.quality.grade ?? "not known",
      ...grades === null ? {} : { measure: `by ${grades.quality.measure}` },
      cells: judged.map(({ quality: { grade, measure } }) =>
        cell(grades?.quality.grade ?? null, grade, `by ${measure}`)
      ),
    },
  ];
}

function compareGrades(before: Grade, after: Grade): Direction {
  const lost = rankOf(after) - rankOf(before);
  return lost === 0 ? "same" : lost > 0 ? "worse" : "better";
}

/** A figure that not every report has is missing in the others. */
function viewFigures(comparisons: readonly Comparison[]): ComparedRow[] {
  const found = new Set(comparisons.flatMap(({ metrics }) => metrics.map(({ metric }) => metric)));
  return METRICS.filter(({ name }) => found.has(name)).map(({ name: metric }) => {
    const changes = comparisons.map(({ metrics }) => metrics.find((one) => one.metric === metric));
    return {
      name: labelOf(metric),
      baseline: showNumber(metric, changes.find((change) => change !== undefined)!.baseline),
      cells: changes.map((change) => showFigure(metric, change)),
    };
  });
}

function showFigure(metric: MetricName, change: MetricChange | undefined): ComparedCell {
  if (change === undefined) return showCell("missing", null);
  const { current, difference, direction } = change;
  return showCell(showNumber(metric, current), direction, difference);
}

function showNumber(metric: MetricName, value: number | null): string {
  return Number.isInteger(value) ? formatCount(value!) : formatFigure(metric, value);
}

function viewSettings(comparisons: readonly Comparison[]): ComparedRow[] {
  const all = comparisons.map(({ differing_settings }) =>
    new Map(differing_settings.map((change) => [change.setting, change]))
  );
  const keys = new Set(all.flatMap((one) => [...one.keys()]));
  return [...keys].map((key) => {
    const changes = all.map((one) => one.get(key));
    const baseline = changes.find((change) => change !== undefined)!.baseline;
    const values = changes.map((change) => change === undefined ? baseline : change.current);
    return {
      name: nameSetting(key),
      baseline: showSetting(baseline),
      cells: values.map((value, i) =>
        showCell(showSetting(value), changes[i] === undefined ? "same" : "changed")
      ),
    };
  });
}

function viewBoundaries(comparisons: readonly Comparison[]): ComparedRow[] {
  const count = Math.max(...comparisons.map(({ boundaries }) => boundaries.length));
  return Array.from({ length: count }, (_, i) => {
    const changes = comparisons.map(({ boundaries }) => boundaries[i]);
    return {
      name: `${i} to ${i + 1}`,
      baseline: formatScore(changes.find((change) => change !== undefined)!.baseline),
      cells: changes.map((change) =>
        change === undefined ? showCell("n/a", null) : showCell(
          formatScore(change.current),
          change.direction,
          change.difference,
          change.violation === null ? "" : `violation ${change.violation}`,
        )
      ),
    };
  });
}

function figureOf(report: Report, metric: MetricName): number | null {
  // Of layers only.
  return metric === "output_bytes" || metric === "quality_grade" ? null : report[metric] ?? null;
}
