/** Compares two reports, figure by figure, boundary by boundary and layer by layer; judges nothing. */

import type {
  BoundaryChange,
  Comparison,
  LayerChange,
  MetricChange,
  ReportIdentity,
  SettingChange,
} from "../report/comparison.ts";
import { pointsOf } from "../report/grades.ts";
import { judgeLayer } from "../report/judge_quality.ts";
import {
  isSameFigure,
  LAYER_METRICS,
  type Metric,
  METRICS,
  metricsOf,
  numberOf,
  sixDigits,
  TOLERANCES,
  WEIGHT_FIGURES,
} from "../report/metrics.ts";
import { identifyCalibration } from "../report/report_calibration.ts";
import { pairLayers } from "./pair_layers.ts";
import { type LayerFigures, type ReportFigures, SETTING_KEYS } from "../report/report_figures.ts";

/**
 * Compares a report with a baseline. Any two can be compared: where their settings differ,
 * `differing_settings` says so.
 *
 * @param baseline A report, or a baseline.
 * @param current The report in question.
 */
export function compareReports(baseline: ReportFigures, current: ReportFigures): Comparison {
  const { pairs, vanished, added } = pairLayers(baseline.layers, current.layers);
  return {
    baseline: identify(baseline),
    current: identify(current),
    differing_settings: compareSettings(baseline, current),
    metrics: metricsOf(METRICS, baseline, current).map((metric) =>
      compareFigure(metric, baseline[metric.name], current[metric.name])
    ),
    boundaries: compareBoundaries(baseline, current),
    layers: pairs.map((pair) => compareLayer(pair.baseline, pair.current)),
    new_layers: added.map(({ name }) => name),
    vanished_layers: vanished.map(({ name }) => name),
    renamed_layers: pairs
      .filter((pair) => pair.baseline.name !== pair.current.name)
      .map((pair) => ({ from: pair.baseline.name, to: pair.current.name })),
  };
}

/** Compares one figure; a value that is missing or `NaN` is never the same as another one. */
export function compareFigure(
  metric: Metric,
  baseline: number | null | undefined,
  current: number | null | undefined,
): MetricChange {
  const change = {
    metric: metric.name,
    baseline: baseline === undefined ? NaN : baseline,
    current: current === undefined ? NaN : current,
  };
  const [before, after] = [numberOf(metric, baseline), numberOf(metric, current)];
  // Not measured in either report, as the boundaries of a single time group, is the same too.
  const isNowhere = baseline === null && current === null;
  if (isNowhere || before === after || isSameFigure(before, after)) {
    return { ...change, difference: isNowhere ? null : 0, direction: "same" };
  }
  const difference = after - before;
  return {
    ...change,
    difference: Number.isFinite(difference) ? sixDigits(difference) : null,
    direction: metric.better === null || Number.isNaN(difference)
      ? "changed"
      : (difference > 0) === (metric.better === "higher")
      ? "better"
      : "worse",
  };
}

function identify(figures: ReportFigures): ReportIdentity {
  return {
    model_name: figures.model_name,
    format: figures.format,
    bit_width: figures.bit_width,
    num_time_groups: figures.num_time_groups,
    granularity: figures.granularity,
    source: figures.source,
    phase: figures.phase,
    smoothing_window: figures.smoothing_window,
    smoothing_method: figures.smoothing_method,
    markov_weight: figures.markov_weight,
    tool_version: figures.tool_version,
  };
}

function compareSettings(baseline: ReportFigures, current: ReportFigures): SettingChange[] {
  // The order in which patterns were given changes nothing.
  const plain = (value: SettingChange["baseline"]) =>
    JSON.stringify(Array.isArray(value) ? [...value].sort() : value);
  const changes = SETTING_KEYS
    .filter((key) => plain(baseline[key]) !== plain(current[key]))
    .map((key): SettingChange => ({
      setting: key,
      baseline: baseline[key],
      current: current[key],
    }));
  const [before, after] = [baseline, current].map(({ calibration }) =>
    identifyCalibration(calibration)
  );
  if (before !== after) {
    changes.push({ setting: "calibration", baseline: before!, current: after! });
  }
  return changes;
}

function compareBoundaries(baseline: ReportFigures, current: ReportFigures): BoundaryChange[] {
  const count = Math.max(baseline.boundary_scores.length, current.boundary_scores.length);
  const before = new Set(baseline.violations.map(({ boundary_idx }) => boundary_idx));
  const after = new Set(current.violations.map(({ boundary_idx }) => boundary_idx));
  return Array.from({ length: count }, (_, boundary_idx) => {
    const { metric: _metric, ...change } = compareFigure(
      { name: "mean_boundary_score", better: "higher" },
      baseline.boundary_scores[boundary_idx] ?? null,
      current.boundary_scores[boundary_idx] ?? null,
    );
    const violation = after.has(boundary_idx)
      ? before.has(boundary_idx) ? "kept" : "new"
      : before.has(boundary_idx)
      ? "gone"
      : null;
    return { boundary_idx, ...change, violation };
  });
}

function compareLayer(baseline: LayerFigures, current: LayerFigures): LayerChange {
  const [before, after] = gradeLayers(baseline, current);
  const known = metricsOf(LAYER_METRICS, before, after);
  const metrics = known.map((metric) =>
    compareFigure(metric, before[metric.name], after[metric.name])
  );
  // Bytes decide only where nothing else moved: fewer of them and worse figures are no gain.
  const [size, quality] = [metrics.at(-1)!, metrics.slice(0, -1)];
  // Where one of the two was calibrated, its weights are worse for a better output.
  const isMeasured = baseline.output_sqnr_db !== undefined || current.output_sqnr_db !== undefined;
  const directions = new Set(
    quality.filter((change, i) =>
      isBeyond(change, known[i]!) && !(isMeasured && WEIGHT_FIGURES.includes(change.metric))
    ).map(({ direction }) => direction),
  );
  const order = ["worse", "better", "changed"] as const;
  return {
    name: current.name,
    baseline_name: baseline.name,
    direction: order.find((direction) => directions.has(direction)) ?? size.direction,
    error_share: current.error_share ?? null,
    metrics,
  };
}

/** Whether a figure of a layer moved by more than is tolerated; one that is no number any more did. */
function isBeyond({ difference }: MetricChange, { tolerance }: Metric): boolean {
  if (tolerance === undefined) return false;
  return difference === null || Math.abs(difference) > tolerance;
}

/**
 * Adds the grades. A grade moves only with an SQNR that moves by more than a gate tolerates of a model, so that a
 * layer beside a limit does not fall over a rounding; a grade of outputs and one of weights are not compared.
 */
function gradeLayers(
  baseline: LayerFigures,
  current: LayerFigures,
): [GradedLayer, GradedLayer] {
  const [before, after] = [judgeLayer(baseline), judgeLayer(current)];
  const isNear = before.measure !== after.measure ||
    Math.abs((before.sqnr_db ?? Infinity) - (after.sqnr_db ?? Infinity)) <= TOLERANCES.sqnr;
  const grade = isNear ? before.grade : after.grade;
  return [
    { ...baseline, quality_grade: pointsOf(before.grade) },
    { ...current, quality_grade: pointsOf(grade) },
  ];
}

type GradedLayer = LayerFigures & { quality_grade: number };
