/** Renders a report as Markdown for job summaries and comments: the verdict first, and never long. */

import { countNouns } from "../base/text.ts";
import summaryTemplate from "../../templates/summary.eta" with { type: "text" };
import {
  formatBytes,
  formatDecibel,
  formatPercent,
  formatScore,
} from "../../templates/client/format.js";
import { adviseOnFailure } from "../gate/advise_on_failure.ts";
import { describeCost, listFlags } from "../report/advise.ts";
import { judgeLayer, storedScore } from "../report/judge_quality.ts";
import { labelOf } from "../report/metrics.ts";
import { countRough, rankDamage, savedBytes } from "../report/rank_damage.ts";
import { reportQuality } from "../report/report_quality.ts";
import { worstFirst } from "./render_comparison.ts";
import type { Finding } from "../gate/apply_rules.ts";
import type { Comparison, Direction, LayerChange, MetricChange } from "../report/comparison.ts";
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
  const { moved, still } = chooseLayers(report, comparison);
  const listed = [...moved, ...still];
  return fillTemplate({ summary: summaryTemplate }, "summary", {
    title: describeOutcome(report, findings),
    identity: `${codeSpan(report.model_name)}: INT${report.bit_width}, ` +
      `${countNouns(report.num_time_groups, "time group")}, ${listPhase(report).join(", ")}, ` +
      `${countNouns(report.layers.length, "layer")}`,
    ...describeVerdict(report, options),
    broken: broken.slice(0, MOST.broken).map(showFinding),
    moreBroken: broken.length - MOST.broken,
    phaseChanges: compareWithPhaseBaseline(report)?.comparison.metrics.map(showChange),
    changes: comparison &&
      comparison.metrics.filter(({ direction }) => direction !== "same").map(showChange),
    notes: comparison === undefined ? [] : listNotes(comparison),
    figures: listCards(report, undefined),
    hasOutputs: listed.some(({ output_sqnr_db }) => output_sqnr_db !== undefined),
    moved: moved.map((layer) => showLayer(layer, comparison)),
    still: still.map((layer) => showLayer(layer, comparison)),
    moreLayers: report.layers.length - listed.length,
  });
}

/** The title: what a gate decided, or how good the model is. */
function describeOutcome(report: Report, findings: readonly Finding[] | undefined): string {
  if (findings === undefined) return `Isotherm: ${reportQuality(report).verdict}`;
  const { failures, words } = tallyFindings(findings);
  return failures > 0
    ? `\u2717 Isotherm gate failed: ${words}`
    : `\u2713 Isotherm gate passed: ${words}`;
}

/** The verdict on the model, and what to do: about the failure where a gate failed. */
function describeVerdict(
  report: Report,
  { comparison, findings }: SummaryOptions,
): { quality: string; smoothness: string; next: string } {
  const { quality, smoothness, reading, advice } = reportQuality(report);
  const failed = comparison && findings && adviseOnFailure(findings, comparison);
  const flags = listFlags(advice.change ?? {}).map(([name, value]) =>
    codeSpan(`${name}: ${value}`)
  );
  const followed = flags.length === 0
    ? ""
    : `: ${flags.join(", ")} among the inputs, ${describeCost(advice)}`;
  const rough = countRough(report.layers);
  return {
    quality: `${quality.grade} (${reading})`,
    smoothness: smoothness === null
      ? "not scored, one time group has no boundary"
      : `${smoothness} (score ${formatScore(storedScore(report))}, ` +
        `${countNouns(report.violation_count, "violation")}, ` +
        `${rough} of ${countNouns(report.layers.length, "layer")} with violations of their own)`,
    next: failed === undefined
      ? `${escapeMarkdown(advice.words)}${followed}`
      : escapeMarkdown(failed),
  };
}

/** The layers that are listed: those that moved against the baseline, and those that most of the error is of. */
function chooseLayers(
  report: Report,
  comparison: Comparison | undefined,
): { moved: LayerReport[]; still: LayerReport[] } {
  const byName = new Map(report.layers.map((layer) => [layer.name, layer]));
  const worse = comparison === undefined ? [] : worstFirst(comparison.layers);
  const better =
    comparison?.layers.filter(({ direction }) =>
      direction === "better" || direction === "changed"
    ) ?? [];
  const moved = [...worse, ...better].flatMap(({ name }) => byName.get(name) ?? [])
    .slice(0, MOST.layers);
  const rest = rankDamage(report.layers).filter((layer) => !moved.includes(layer));
  return { moved, still: rest.slice(0, MOST.layers) };
}

function showFinding(finding: Finding): Record<string, string> {
  const { metric, layer, baseline, current, allowed, operator, level, problem } = finding;
  return {
    mark: level === "fail" ? "\u2717" : "!",
    metric: labelOf(metric),
    layer: layer === null ? "" : codeSpan(layer),
    baseline: formatFigure(metric, baseline),
    current: formatFigure(metric, current),
    limit: problem ?? `\`${operator}\` ${formatFigure(metric, allowed)}`,
    level,
  };
}

/** Marks of how a figure moved; without one where neither way is better. */
const MARKS: Partial<Record<Direction | "new", string>> = { better: "\u2713 ", worse: "\u2717 " };

function showChange(change: MetricChange): Record<string, string> {
  return {
    metric: labelOf(change.metric),
    baseline: formatFigure(change.metric, change.baseline),
    current: formatFigure(change.metric, change.current),
    difference: formatDifference(change.difference),
    direction: `${MARKS[change.direction] ?? ""}${change.direction}`,
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

function showLayer(
  layer: LayerReport,
  comparison: Comparison | undefined,
): Record<string, string | number> {
  const change = comparison?.layers.find(({ name }) => name === layer.name);
  const { grade, measure } = judgeLayer(layer);
  const figure = measure === "outputs" ? "output_sqnr_db" : "sqnr_db";
  const moved = change?.metrics.find(({ metric }) => metric === figure)?.difference;
  const direction = change?.direction ?? "new";
  return {
    name: codeSpan(layer.name),
    share: layer.error_share === undefined ? "n/a" : formatPercent(layer.error_share),
    grade,
    sqnr: formatDecibel(layer.sqnr_db),
    output: layer.output_sqnr_db === undefined ? "n/a" : formatDecibel(layer.output_sqnr_db),
    saved: formatBytes(Math.max(0, savedBytes(layer))),
    change: `${MARKS[direction] ?? ""}${direction}` +
      (moved ? `, ${formatDifference(Number(moved.toFixed(2)))} dB` : ""),
  };
}
