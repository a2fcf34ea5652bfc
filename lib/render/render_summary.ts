/** Renders a report as Markdown for job summaries and comments: the verdict first, and never long. */

import { countNouns } from "../base/text.ts";
import summaryTemplate from "../../templates/summary.eta" with { type: "text" };
import { formatDecibel, formatScore } from "../../templates/client/format.js";
import type { Finding } from "../gate/apply_rules.ts";
import type { Comparison, LayerChange, MetricChange } from "../report/comparison.ts";
import { describeSetting } from "../gate/judge_reports.ts";
import { tallyFindings } from "../gate/tally_findings.ts";
import type { Report } from "../report/build_report.ts";
import type { LayerReport } from "../report/report_layer.ts";
import { listPhase } from "./describe_phase.ts";
import { codeSpan, escapeMarkdown } from "./escape_markdown.ts";
import { fillTemplate } from "./fill_template.ts";
import { formatDifference, formatFigure } from "./format_figure.ts";
import { listCards } from "./html_cards.ts";
import { compareWithPhaseBaseline } from "../compare/compare_with_phase_baseline.ts";

/** Rows of a table, and names of a list: they keep the summary under 60 kB, whatever the names. */
const MOST = { broken: 20, layers: 10, names: 10 };

/** What a summary says besides its report. */
export interface SummaryOptions {
  /** The report compared with a baseline. */
  comparison?: Comparison;
  /** What a gate found. */
  findings?: readonly Finding[];
}

/**
 * Renders a report as Markdown.
 *
 * @returns Less than 60 kB of text, the same for the same report.
 */
export function renderSummary(report: Report, options: SummaryOptions = {}): Promise<string> {
  const { comparison, findings } = options;
  const { broken } = tallyFindings(findings ?? []);
  const layers = roughest(report);
  return fillTemplate({ summary: summaryTemplate }, "summary", {
    verdict: describeVerdict(report, findings),
    identity: `${codeSpan(report.model_name)}: INT${report.bit_width}, ` +
      `${countNouns(report.num_time_groups, "time group")}, ${listPhase(report).join(", ")}, ` +
      `${countNouns(report.layers.length, "layer")}`,
    reading: `Score: ${escapeMarkdown(report.interpretation.score)}. ` +
      `Violations: ${escapeMarkdown(report.interpretation.violations)}. ` +
      `Next step: ${escapeMarkdown(report.interpretation.next_step)}.`,
    broken: broken.slice(0, MOST.broken).map(showFinding),
    moreBroken: broken.length - MOST.broken,
    phaseChanges: compareWithPhaseBaseline(report)?.comparison.metrics.map(showChange),
    changes: comparison &&
      comparison.metrics.filter(({ direction }) => direction !== "same").map(showChange),
    notes: comparison === undefined ? [] : listNotes(comparison),
    figures: listCards(report, undefined),
    hasOutputs: layers.some(({ output_sqnr_db }) => output_sqnr_db !== undefined),
    layers: layers.map((layer) => showLayer(layer, comparison)),
    moreLayers: report.layers.length - layers.length,
  });
}

function describeVerdict(report: Report, findings: readonly Finding[] | undefined): string {
  if (findings === undefined) {
    return `Smoothness ${formatScore(report.smoothness_score)}, ` +
      countNouns(report.violation_count, "violation");
  }
  const { failures, words } = tallyFindings(findings);
  return `Isotherm gate ${failures > 0 ? "failed" : "passed"}: ${words}`;
}

function showFinding(finding: Finding): Record<string, string> {
  const { metric, layer, baseline, current, allowed, operator, level, problem } = finding;
  return {
    metric: codeSpan(metric),
    layer: layer === null ? "" : codeSpan(layer),
    baseline: formatFigure(metric, baseline),
    current: formatFigure(metric, current),
    limit: problem ?? `\`${operator}\` ${formatFigure(metric, allowed)}`,
    level,
  };
}

function showChange(change: MetricChange): Record<string, string> {
  return {
    metric: codeSpan(change.metric),
    baseline: formatFigure(change.metric, change.baseline),
    current: formatFigure(change.metric, change.current),
    difference: formatDifference(change.difference),
    direction: change.direction,
  };
}

/** What else changed, a line each. */
function listNotes(comparison: Comparison): string[] {
  const { layers, differing_settings, renamed_layers } = comparison;
  const count = (direction: LayerChange["direction"]) =>
    layers.filter((layer) => layer.direction === direction).length;
  return [
    `Layers: ${count("worse")} worse, ${count("better")} better, ${count("changed")} changed, ` +
    `${count("same")} the same.`,
    ...differing_settings.map((change) => `Other setting: ${codeSpan(describeSetting(change))}`),
    ...listNames("Vanished layers", comparison.vanished_layers.map(codeSpan)),
    ...listNames("New layers", comparison.new_layers.map(codeSpan)),
    ...listNames(
      "Renamed layers",
      renamed_layers.map(({ from, to }) => `${codeSpan(from)} is now ${codeSpan(to)}`),
    ),
  ];
}

function listNames(title: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > MOST.names ? `, and ${names.length - MOST.names} more` : "";
  return [`${title} (${names.length}): ${names.slice(0, MOST.names).join(", ")}${more}`];
}

function roughest({ layers }: Report): LayerReport[] {
  return layers.toSorted((a, b) => a.smoothness_score - b.smoothness_score)
    .slice(0, MOST.layers);
}

function showLayer(
  layer: LayerReport,
  comparison: Comparison | undefined,
): Record<string, string | number> {
  const change = comparison?.layers.find(({ name }) => name === layer.name);
  const moved = change?.metrics.find(({ metric }) => metric === "smoothness_score")?.difference;
  return {
    name: codeSpan(layer.name),
    score: formatScore(layer.smoothness_score),
    violations: layer.violation_count,
    cosine: formatScore(layer.cosine_similarity),
    sqnr: formatDecibel(layer.sqnr_db),
    output: layer.output_sqnr_db === undefined ? "n/a" : formatDecibel(layer.output_sqnr_db),
    change: `${change?.direction ?? "new"}${moved ? `, score ${formatDifference(moved)}` : ""}`,
  };
}
