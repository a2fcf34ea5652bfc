/** What a page says of a comparison, as plain texts for its template. */

import { countNouns, escapeText } from "../base/text.ts";
import { formatScore } from "../../templates/client/format.js";
import type { Comparison, Direction } from "../report/comparison.ts";
import { describeSetting } from "../gate/judge_reports.ts";
import type { MetricName } from "../report/metrics.ts";
import type { Report } from "../report/build_report.ts";
import { formatDifference, formatFigure } from "./format_figure.ts";
import type { LabelledReport } from "./html_data.ts";

/** Names of a kind that are listed. */
const MOST_NAMES = 500;

/** What the lines of a run's own baseline are called. */
export const PHASE_BASELINE = "Phase baseline";

/** Layers that are only in one report, or under another name. */
export interface NameList {
  /** Which ones. */
  title: string;
  /** How many. */
  count: number;
  /** Their names, some of them. */
  names: string[];
  /** How many names are not listed. */
  more: number;
}

/** What the page says of a comparison. */
export interface ComparisonView {
  /** Id of its section. */
  id: string;
  /** What the links at the top call it. */
  link: string;
  /** Its heading. */
  title: string;
  /** How many figures and layers moved, and how. */
  verdict: string;
  /** Settings that differ. */
  settings: string[];
  /** Names of the reports, the baseline first, the subject last. */
  heads: string[];
  /** Every figure, with its value in each report. */
  metrics: { metric: string; values: string[]; difference: string; direction: Direction }[];
  /** Every boundary. */
  boundaries: {
    place: string;
    baseline: string;
    current: string;
    difference: string;
    direction: Direction;
    violation: string;
  }[];
  /** Layers that vanished, are new or were renamed. */
  lists: NameList[];
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
  return [{ report: subject, label: "This report" }, ...labelled];
}

/**
 * Puts a comparison with another report or baseline into words.
 *
 * @param reports The subject first.
 */
export function viewComparison(
  reports: readonly LabelledReport[],
  comparison: Comparison,
): ComparisonView {
  const between = reports.slice(1).filter(({ label }) =>
    label !== PHASE_BASELINE && !label.startsWith("Baseline")
  );
  const title = "Against the baseline";
  return { id: "comparison", link: "Comparison", title, ...viewChanges(comparison, between) };
}

/** Puts a comparison with the run's own baseline into words. */
export function viewPhaseComparison(comparison: Comparison): ComparisonView {
  const title = "Against phase baseline, in the same run";
  return { id: "phase", link: "Phase", title, ...viewChanges(comparison, []) };
}

function viewChanges(
  comparison: Comparison,
  between: readonly LabelledReport[],
): Omit<ComparisonView, "id" | "link" | "title"> {
  const { metrics, layers, boundaries } = comparison;
  return {
    verdict: `Figures: ${countDirections(metrics)}. Layers: ${countDirections(layers)}.`,
    settings: comparison.differing_settings.map(describeSetting),
    heads: ["Baseline", ...between.map(({ label }) => label), "This report"],
    metrics: metrics.map(({ metric, baseline, current, difference, direction }) => ({
      metric,
      values: [
        baseline,
        ...between.map(({ report }) => figureOf(report, metric)),
        current,
      ].map((value) => formatFigure(metric, value)),
      difference: formatDifference(difference),
      direction,
    })),
    boundaries: boundaries.map((one) => ({
      place: `${one.boundary_idx} to ${one.boundary_idx + 1}`,
      baseline: formatScore(one.baseline),
      current: formatScore(one.current),
      difference: formatDifference(one.difference),
      direction: one.direction,
      violation: one.violation ?? "none",
    })),
    lists: [
      listNames("Vanished layers", comparison.vanished_layers.map(escapeText)),
      listNames("New layers", comparison.new_layers.map(escapeText)),
      listNames(
        "Renamed layers",
        comparison.renamed_layers.map(({ from, to }) =>
          `${escapeText(from)} is now ${escapeText(to)}`
        ),
      ),
    ].filter(({ count }) => count > 0),
  };
}

function listNames(title: string, names: readonly string[]): NameList {
  const more = Math.max(0, names.length - MOST_NAMES);
  return { title, count: names.length, names: names.slice(0, MOST_NAMES), more };
}

function countDirections(changes: readonly { direction: Direction }[]): string {
  const parts = (["worse", "better", "changed", "same"] satisfies Direction[]).map((direction) => ({
    direction,
    count: changes.filter((change) => change.direction === direction).length,
  }));
  const found = parts.filter(({ count }) => count > 0);
  return found.map(({ count, direction }) => `${count} ${direction}`).join(", ") ||
    countNouns(0, "change");
}

function figureOf(report: Report, metric: MetricName): number | null {
  // Of layers only.
  return metric === "output_bytes" || metric === "quality_grade" ? null : report[metric] ?? null;
}
