/** The figures that a page carries with it, rounded, as its scripts read them: `templates/client/page_data.js`. */

import { escapeText } from "../base/text.ts";
import { HEAT_STEPS } from "./heat_steps.ts";
import type { Comparison, LayerChange } from "../report/comparison.ts";
import type { MetricName } from "../report/metrics.ts";
import type { BoundaryJump, Smoothness } from "../params/score_smoothness.ts";
import { planWindows } from "../params/smooth_params.ts";
import { qmaxOf } from "../types.ts";
import type { Report } from "../report/build_report.ts";
import type { LayerReport } from "../report/report_layer.ts";

/**
 * Most pairs of layer and time group, over all reports, whose parameters a page carries: about 4 MB.
 * Above it the smoothest layers go without a chart.
 */
const MAX_DETAIL = 120_000;

/** Scale, zero point, scale jump, zero point jump, score, severity letters, first rows, ramps. */
type Series = [number[], number[], number[], number[], number[], string, number[], number[]];

/** A report and what it is called. */
export interface LabelledReport {
  /** The report. */
  report: Report;
  /** What its lines are called. */
  label: string;
}

/** How many layers a page carries with their parameters. */
export function detailedLayers({ layers, num_time_groups }: Report, reports: number): number {
  return Math.min(layers.length, Math.floor(MAX_DETAIL / (num_time_groups * reports)));
}

/**
 * The series of a model: the means of its layers, weighted by their elements. Scales and zero points are
 * those of the layers of the run's width: with the codes of another their means would say nothing.
 */
export function modelSeries(report: Report): Series | null {
  const { layers, num_time_groups, smoothing_window: window } = report;
  if (layers.length === 0) return null;
  const own = layers.filter(({ bits }) => bits === report.bit_width);
  const alike = own.length > 0 ? own : layers;
  const figures = {
    ...report,
    scale: meanOf(alike, ({ scale }) => scale, num_time_groups),
    zero_point: meanOf(alike, ({ zero_point }) => zero_point, num_time_groups),
    boundaries: [],
  };
  const ramps = (layer: LayerReport) => listRamps(layer.boundaries, window);
  return packSeries(figures, meanOf(layers, ramps, window === null ? 0 : num_time_groups - 1));
}

/** The mean of a list of each layer, weighted by elements; what a list is short of counts as 0. */
function meanOf(
  layers: readonly LayerReport[],
  listOf: (layer: LayerReport) => readonly number[],
  length: number,
): number[] {
  const total = layers.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const lists = layers.map((layer) => ({
    list: listOf(layer),
    weight: layer.rows * layer.columns,
  }));
  return Array.from(
    { length },
    (_, i) => lists.reduce((sum, { list, weight }) => sum + (list[i] ?? 0) * weight, 0) / total,
  );
}

/**
 * The data of a page as JSON that can stand inside a script element.
 *
 * @param reports The subject first; the others are overlaid.
 * @param comparison Of the subject with a baseline.
 */
export function pageData(
  reports: readonly [LabelledReport, ...LabelledReport[]],
  comparison: Comparison | undefined,
): string {
  const { report } = reports[0];
  const { layers } = report;
  const bases = new Map(comparison?.layers.map((layer) => [layer.name, layer]));
  const detailed = new Set(
    layers.map(({ smoothness_score }, index) => ({ smoothness_score, index }))
      .sort((a, b) => a.smoothness_score - b.smoothness_score)
      .slice(0, detailedLayers(report, reports.length))
      .map(({ index }) => index),
  );
  const seriesOf = (other: Report) => {
    const byName = new Map(other.layers.map((layer) => [layer.name, layer]));
    return layers.map(({ name }, index) => {
      if (!detailed.has(index)) return null;
      const layer = byName.get(name) ?? byName.get(bases.get(name)?.baseline_name ?? name);
      if (layer === undefined) return null;
      return packSeries(layer, listRamps(layer.boundaries, other.smoothing_window));
    });
  };
  const data = {
    reports: reports.map(({ label }) => escapeText(label)),
    groups: report.num_time_groups,
    qmax: qmaxOf(report.bit_width),
    threshold: report.smoothness_threshold,
    heat: HEAT_STEPS,
    model: reports.map(({ report }) => modelSeries(report)),
    series: reports.map(({ report }) => seriesOf(report)),
    layers: layerColumns(layers),
    changes: comparison === undefined
      ? null
      : layerChanges(layers.map(({ name }) => bases.get(name))),
  };
  return JSON.stringify(data).replaceAll("<", "\\u003c");
}

function layerColumns(layers: readonly LayerReport[]) {
  return {
    name: layers.map(({ name }) => escapeText(name)),
    rows: layers.map(({ rows }) => rows),
    columns: layers.map(({ columns }) => columns),
    dtype: layers.map(({ dtype }) => dtype),
    bits: layers.map(({ bits }) => bits),
    score: layers.map(({ smoothness_score }) => round(smoothness_score, 4)),
    violations: layers.map(({ violation_count }) => violation_count),
    cosine: layers.map(({ cosine_similarity }) => round(cosine_similarity, 4)),
    sqnr: layers.map(({ sqnr_db }) => sqnr_db === null ? null : round(sqnr_db, 2)),
    output: layers.every(({ output_sqnr_db }) => output_sqnr_db === undefined)
      ? null
      : layers.map(({ output_sqnr_db: db }) => db === undefined ? null : round(db, 2)),
    bytes: layers.map(({ output_bytes }) => output_bytes),
  };
}

function layerChanges(changes: readonly (LayerChange | undefined)[]) {
  const difference = (name: MetricName, digits: number) =>
    changes.map((change) => {
      const found = change?.metrics.find(({ metric }) => metric === name)?.difference ?? null;
      return found === null ? null : round(found, digits);
    });
  return {
    direction: changes.map((change) => change?.direction ?? "new"),
    score: difference("smoothness_score", 4),
    violations: difference("violation_count", 0),
    cosine: difference("cosine_similarity", 4),
    sqnr: difference("sqnr_db", 2),
    output: difference("output_sqnr_db", 2),
    bytes: difference("output_bytes", 0),
  };
}

type Figures = Pick<LayerReport, "scale" | "zero_point" | "boundaries"> & Smoothness & {
  boundary_jumps: BoundaryJump[];
};

/** How far the parameters move into the groups at each boundary, 0 to 0.5 groups; none without a window. */
function listRamps(boundaries: readonly number[], window: number | null): number[] {
  if (window === null) return [];
  const widths = new Map(
    planWindows(boundaries, window).map(({ from, to }) => [(from + to) / 2, to - from]),
  );
  return boundaries.slice(1, -1).map((boundary, b) =>
    (widths.get(boundary) ?? 0) / (boundaries[b + 2]! - boundaries[b]!)
  );
}

function packSeries(figures: Figures, ramps: readonly number[]): Series {
  const { scale, zero_point, boundary_jumps, boundary_scores, violations, boundaries } = figures;
  const letters = boundary_scores.map(() => "-");
  for (const { boundary_idx, severity } of violations) letters[boundary_idx] = severity[0]!;
  return [
    scale.map((value) => Number(value.toPrecision(4))),
    zero_point.map((value) => round(value, 2)),
    boundary_jumps.map(({ scale_jump }) => round(scale_jump, 3)),
    boundary_jumps.map(({ zero_point_jump }) => round(zero_point_jump, 3)),
    boundary_scores.map((score) => round(score, 4)),
    letters.join(""),
    boundaries,
    ramps.map((share) => round(share, 3)),
  ];
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
