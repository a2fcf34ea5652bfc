/** Comparisons for people: every figure side by side, then what happened to the layers. */

import { countNouns, escapeText } from "../base/text.ts";
import type { Comparison, LayerChange, ReportIdentity } from "../report/comparison.ts";
import { describeSetting } from "../gate/judge_reports.ts";
import { listPhase } from "./describe_phase.ts";
import { formatDifference, formatFigure } from "./format_figure.ts";
import { formatPercent } from "../../templates/client/format.js";
import { type MetricName, METRICS } from "../report/metrics.ts";

/** Names of a kind that are listed. */
const SHOWN = 10;

/** What the reports are called. */
export interface ComparisonLabels {
  /** The baseline, usually its file. */
  baseline: string;
  /** The others, in the order of the comparisons. */
  currents: readonly string[];
}

/**
 * Renders comparisons of several reports with one baseline.
 *
 * @param comparisons At least one; all with the same baseline.
 */
export function renderComparison(
  comparisons: readonly Comparison[],
  labels: ComparisonLabels,
): string {
  const heads = comparisons.map((_, i) => comparisons.length === 1 ? "current" : `[${i + 1}]`);
  const lines = [
    `baseline ${nameReport(labels.baseline, comparisons[0]!.baseline)}`,
    ...comparisons.flatMap(({ current, differing_settings }, i) => [
      `${heads[i]!.padEnd(8)} ${nameReport(labels.currents[i]!, current)}`,
      ...differing_settings.map((change) => `         ${describeSetting(change)}`),
    ]),
    "",
    ...renderTable(comparisons, heads),
  ];
  for (const [i, comparison] of comparisons.entries()) {
    lines.push("", ...comparisons.length === 1 ? [] : [heads[i]!], ...renderLayers(comparison));
  }
  return `${lines.join("\n")}\n`;
}

function nameReport(label: string, report: ReportIdentity): string {
  const { model_name, bit_width, num_time_groups, source } = report;
  return `${escapeText(label)}: ${escapeText(model_name)}, INT${bit_width}, ` +
    `${countNouns(num_time_groups, "time group")}, ${source}, ` +
    listPhase(report).join(", ");
}

function renderTable(comparisons: readonly Comparison[], heads: readonly string[]): string[] {
  const rows = [["metric", "baseline", ...heads.flatMap((head) => [head, "difference", ""])]];
  for (const { name: metric } of METRICS) {
    // A figure that only some reports have is missing in the others.
    const changes = comparisons.map(({ metrics }) => metrics.find((one) => one.metric === metric));
    const known = changes.find((change) => change !== undefined);
    if (known === undefined) continue;
    rows.push([
      metric,
      formatFigure(metric, known.baseline),
      ...changes.flatMap((change) =>
        change === undefined ? [formatFigure(metric, NaN), "", ""] : [
          formatFigure(metric, change.current),
          formatDifference(change.difference),
          change.direction,
        ]
      ),
    ]);
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => {
      // Words to the left, numbers to the right.
      const isWord = column === 0 || column % 3 === 1 && column > 1;
      return isWord ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
    }).join("  ").trimEnd()
  );
}

/** What happened to boundaries and layers, in words; used for a gate as well. */
export function renderLayers(comparison: Comparison): string[] {
  const { layers, boundaries, new_layers, vanished_layers, renamed_layers } = comparison;
  const count = (direction: string) =>
    layers.filter((layer) => layer.direction === direction).length;
  const changed = count("changed");
  const lines = [
    `${countNouns(layers.length, "layer")} in both: ${count("worse")} worse, ` +
    `${count("better")} better, ${changed === 0 ? "" : `${changed} changed, `}` +
    `${count("same")} the same`,
  ];
  const places = (kind: string) =>
    boundaries.filter(({ violation }) => violation === kind).map((one) => one.boundary_idx);
  for (const [kind, word] of [["new", "New"], ["gone", "Former"]] as const) {
    const found = places(kind);
    if (found.length > 0) lines.push(`${word} violations at boundaries: [${found.join(", ")}]`);
  }
  lines.push(
    ...list("Vanished layers", vanished_layers.map(escapeText)),
    ...list("New layers", new_layers.map(escapeText)),
    ...list(
      "Renamed layers",
      renamed_layers.map(({ from, to }) => `${escapeText(from)} -> ${escapeText(to)}`),
    ),
    ...list("Worse layers", worstFirst(layers).map(describeLayer)),
  );
  return lines;
}

function list(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length - SHOWN;
  return [
    `${title} (${items.length}):`,
    ...items.slice(0, SHOWN).map((item) => `  ${item}`),
    ...more > 0 ? [`  and ${more} more: --json lists all`] : [],
  ];
}

/** Layers that got worse, by what they lost of their SQNR; that of the output where both reports know it. */
export function worstFirst(layers: readonly LayerChange[]): LayerChange[] {
  return layers.filter(({ direction }) => direction === "worse")
    .sort((a, b) => lostDecibels(b) - lostDecibels(a));
}

/** What a layer lost of its SQNR in dB: below 0 where it gained some; endless where no noise became some. */
function lostDecibels({ metrics }: LayerChange): number {
  const differenceOf = (name: MetricName) => {
    const change = metrics.find(({ metric }) => metric === name);
    if (change === undefined || change.direction === "same") return 0;
    return change.difference ?? (change.direction === "worse" ? -Infinity : 0);
  };
  return -(differenceOf("output_sqnr_db") || differenceOf("sqnr_db"));
}

function describeLayer({ name, metrics, error_share: share }: LayerChange): string {
  const moved = metrics.filter(({ direction }) => direction !== "same").map((change) => {
    const { metric, baseline, current, direction } = change;
    return `${metric} ${formatFigure(metric, baseline)} -> ${formatFigure(metric, current)}` +
      (direction === "worse" ? "" : ` (${direction})`);
  });
  const part = share === null ? "" : `; ${formatPercent(share)} of the model's error`;
  return `${escapeText(name)}: ${moved.join(", ")}${part}`;
}
