/** Parameters over the time groups, rounded and packed, as the scripts of a page read them. */

import type { PackedSeries } from "../../templates/client/page_data.js";
import type { BoundaryJump, Smoothness } from "../params/score_smoothness.ts";
import { planWindows } from "../params/smooth_params.ts";
import type { Report } from "../report/build_report.ts";
import type { LayerReport } from "../report/report_layer.ts";

/** In place of the rows of a layer: a model has none of its own. */
const NO_ROWS = -1;

/** Lists of numbers of which many are alike, each kept once. */
export interface ListPool {
  /** The lists so far. */
  readonly lists: readonly (readonly number[])[];
  /** The place of a list, which is added where it is new. */
  placeOf(list: readonly number[]): number;
}

/** A pool without lists. */
export function poolLists(): ListPool {
  const lists: (readonly number[])[] = [];
  const places = new Map<string, number>();
  const placeOf = (list: readonly number[]) => {
    const key = list.join();
    const place = places.get(key) ?? lists.push(list) - 1;
    places.set(key, place);
    return place;
  };
  return { lists, placeOf };
}

/** The series of a layer of a report. */
export function layerSeries(layer: LayerReport, report: Report, rows: ListPool): PackedSeries {
  const ramps = listRamps(layer.boundaries, report.smoothing_window);
  return packSeries(layer, ramps, rows.placeOf(layer.boundaries));
}

/**
 * The series of a model: the means of its layers, weighted by their elements. Scales and zero points are
 * those of the layers of the run's width: with the codes of another their means would say nothing.
 */
export function modelSeries(report: Report): PackedSeries | null {
  const { layers, num_time_groups, smoothing_window: window } = report;
  if (layers.length === 0) return null;
  const own = layers.filter(({ bits }) => bits === report.bit_width);
  const alike = own.length > 0 ? own : layers;
  const figures = {
    ...report,
    scale: meanOf(alike, ({ scale }) => scale, num_time_groups),
    zero_point: meanOf(alike, ({ zero_point }) => zero_point, num_time_groups),
  };
  const ramps = (layer: LayerReport) => listRamps(layer.boundaries, window);
  return packSeries(
    figures,
    meanOf(layers, ramps, window === null ? 0 : num_time_groups - 1),
    NO_ROWS,
  );
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

type Figures = Pick<LayerReport, "scale" | "zero_point"> & Smoothness & {
  boundary_jumps: BoundaryJump[];
};

function packSeries(figures: Figures, ramps: readonly number[], rows: number): PackedSeries {
  const { scale, zero_point, boundary_jumps, boundary_scores, violations } = figures;
  const letters = violations.length === 0 ? [] : boundary_scores.map(() => "-");
  for (const { boundary_idx, severity } of violations) letters[boundary_idx] = severity[0]!;
  return [
    scale.map((value) => Number(value.toPrecision(4))),
    zero_point.map((value) => roundTo(value, 2)),
    boundary_jumps.map(({ scale_jump }) => Math.round(1000 * scale_jump)),
    boundary_jumps.map(({ zero_point_jump }) => Math.round(1000 * zero_point_jump)),
    boundary_scores.map((score) => Math.round(10_000 * score)),
    letters.join(""),
    rows,
    ramps.map((share) => roundTo(share, 3)),
  ];
}

/** A number rounded to some digits after the point. */
export function roundTo(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
