/** What a page says of the layers of compared reports: how many moved, and which lost most. */

import { formatDecibel, formatPercent } from "../../templates/client/format.js";
import { escapeText } from "../base/text.ts";
import type { Comparison, LayerChange, MetricChange } from "../report/comparison.ts";
import {
  type ComparedCell,
  type ComparedReport,
  type ComparedRow,
  showCell,
} from "./compared_rows.ts";

/** Layers that are listed because they lost. */
const MOST_LOST = 50;

/** Names of a kind that are listed, over all reports. */
const MOST_NAMES = 500;

/** What becomes of layers. */
const FATES = ["worse", "better", "changed", "same", "new", "vanished"] as const;

/** The layers that lost most. */
export interface LostLayers {
  /** Each with its decibels in the baseline and in every report. */
  rows: ComparedRow[];
  /** How many more lost. */
  more: number;
  /** How many a report cannot be compared in: the outputs are known on one side only. */
  unlike: number;
}

/** Layers that are only in one report, or under another name. */
export interface NameList {
  /** Which ones, of which report. */
  title: string;
  /** How many. */
  count: number;
  /** Their names, some of them. */
  names: string[];
  /** How many names are not listed. */
  more: number;
}

/** What a page says of the layers of compared reports. */
export interface ComparedLayers {
  /** What became of the layers, in words. */
  fates: readonly string[];
  /** How many layers became what, a row for each report. */
  counts: { report: string; values: number[] }[];
  /** Those that lost most. */
  lost: LostLayers;
  /** Names of layers that vanished, are new or were renamed. */
  lists: NameList[];
}

/** Puts into words what became of the layers of each report. */
export function viewLayers(reports: readonly ComparedReport[]): ComparedLayers {
  return {
    fates: FATES,
    counts: reports.map(({ label, comparison }) => ({
      report: escapeText(label),
      values: FATES.map((fate) => countLayers(comparison, fate)),
    })),
    lost: findLost(reports),
    lists: reports.flatMap(({ label, comparison }) => {
      const of = reports.length === 1 ? "" : `, ${escapeText(label)}`;
      const most = Math.floor(MOST_NAMES / reports.length);
      const renamed = comparison.renamed_layers.map(({ from, to }) =>
        `${escapeText(from)} is now ${escapeText(to)}`
      );
      return [
        listNames(`Vanished layers${of}`, comparison.vanished_layers.map(escapeText), most),
        listNames(`New layers${of}`, comparison.new_layers.map(escapeText), most),
        listNames(`Renamed layers${of}`, renamed, most),
      ].filter(({ count }) => count > 0);
    }),
  };
}

function countLayers(comparison: Comparison, fate: typeof FATES[number]): number {
  if (fate === "new") return comparison.new_layers.length;
  if (fate === "vanished") return comparison.vanished_layers.length;
  return comparison.layers.filter(({ direction }) => direction === fate).length;
}

function listNames(title: string, names: readonly string[], most: number): NameList {
  const more = Math.max(0, names.length - most);
  return { title, count: names.length, names: names.slice(0, most), more };
}

/** The SQNR of a layer in two reports, of its outputs or of its weights. */
interface DecibelChange extends MetricChange {
  metric: "sqnr_db" | "output_sqnr_db";
}

/**
 * The SQNR that a layer is compared by: of its outputs where both reports know them, of its weights where neither
 * does, and else none, since compensation makes the weights worse.
 */
function findDecibels({ metrics }: LayerChange): DecibelChange | undefined {
  const isDecibel = (change: MetricChange): change is DecibelChange =>
    change.metric === "output_sqnr_db" || change.metric === "sqnr_db";
  const found = metrics.filter(isDecibel);
  const change = found.find(({ metric }) => metric === "output_sqnr_db") ?? found[0];
  // Without any error the weights' is null, in JSON what is missing too: outputs always have a number.
  const isKnown = change !== undefined &&
    [change.baseline, change.current].every((value) =>
      change.metric === "sqnr_db" ? !Number.isNaN(value) : Number.isFinite(value)
    );
  return isKnown ? change : undefined;
}

/** Decibels that were lost; a layer without any error has no end of them. */
function lossOf(change: DecibelChange | undefined): number {
  if (change?.direction !== "worse") return 0;
  return change.difference === null ? Infinity : -change.difference;
}

function findLost(reports: readonly ComparedReport[]): LostLayers {
  const losses = new Map<string, number>();
  const unlike = new Set<string>();
  const found = reports.map(({ comparison }) =>
    new Map(comparison.layers.map((layer) => [layer.baseline_name, layer]))
  );
  for (const layers of found) {
    for (const [name, layer] of layers) {
      const change = findDecibels(layer);
      if (change === undefined) unlike.add(name);
      losses.set(name, Math.max(losses.get(name) ?? 0, lossOf(change)));
    }
  }
  // Equal losses stay in the order of the model; two without an end are equal too.
  const lost = [...losses].filter(([, loss]) => loss > 0)
    .sort(([, a], [, b]) => a === b ? 0 : b - a)
    .map(([name]) => name);
  const shares = reports.map(({ report }) =>
    new Map(report.layers.map(({ name, error_share }) => [name, error_share]))
  );
  return {
    rows: lost.slice(0, MOST_LOST).map((name) => {
      const layers = found.map((one) => one.get(name));
      const changes = layers.map((layer) => layer && findDecibels(layer));
      const { baseline, metric } = changes.find((change) => change !== undefined)!;
      return {
        name: escapeText(name),
        baseline: formatDecibel(baseline),
        measure: metric === "sqnr_db" ? "of weights" : "of outputs",
        cells: layers.map((layer, i) =>
          layer === undefined
            ? showCell("vanished", null)
            : showChange(changes[i], shares[i]!.get(layer.name))
        ),
      };
    }),
    more: Math.max(0, lost.length - MOST_LOST),
    unlike: unlike.size,
  };
}

function showChange(change: DecibelChange | undefined, share: number | undefined): ComparedCell {
  const note = share === undefined ? "" : `${formatPercent(share)} of error`;
  if (change === undefined) return showCell("n/a", null, null, note);
  const { current, difference, direction } = change;
  return showCell(formatDecibel(current), direction, difference, note);
}
