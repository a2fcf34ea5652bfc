/** The figures that a page carries with it, rounded, as its scripts read them: `templates/client/page_data.js`. */

import {
  type PackedSeries,
  packHistogram,
  type PageData,
} from "../../templates/client/page_data.js";
import { escapeText } from "../base/text.ts";
import type { Drift } from "../calibration/measure_drift.ts";
import type { Comparison, LayerChange } from "../report/comparison.ts";
import { GRADES, rankOf } from "../report/grades.ts";
import { judgeLayer } from "../report/judge_quality.ts";
import type { MetricName } from "../report/metrics.ts";
import type { Report } from "../report/build_report.ts";
import type { LayerReport } from "../report/report_layer.ts";
import { codeAxis, qmaxOf } from "../types.ts";
import { carryActivations } from "./html_activations.ts";
import { HEAT_STEPS } from "./heat_steps.ts";
import { layerSeries, modelSeries, poolLists, roundTo } from "./html_series.ts";

/**
 * Most bytes of data in a page, so that all of it stays below 4 MB. Where it would be more, the smoothest layers
 * go without their parameters over the time groups, the one part that grows with groups and reports too.
 */
const MAX_DATA = 3_600_000;

/** A report and what it is called. */
export interface LabelledReport {
  /** The report. */
  report: Report;
  /** What its lines are called. */
  label: string;
}

/** The data of a page. */
export interface CarriedData {
  /** As JSON that can stand inside a script element. */
  text: string;
  /** How many layers it has the parameters of, the roughest ones. */
  charted: number;
}

/**
 * Collects the data of a page.
 *
 * @param reports The subject first; the others are overlaid.
 * @param comparison Of the subject with a baseline.
 * @param drift Of the inputs of the subject's layers; `null`: nothing can be drawn.
 */
export function pageData(
  reports: readonly [LabelledReport, ...LabelledReport[]],
  comparison: Comparison | undefined,
  drift: Drift | null,
): CarriedData {
  const { report } = reports[0];
  const { layers } = report;
  const bases = new Map(comparison?.layers.map((layer) => [layer.name, layer]));
  const rows = poolLists();
  const series: (PackedSeries | null)[][] = reports.map(({ report: other }) => {
    const byName = new Map(other.layers.map((layer) => [layer.name, layer]));
    return layers.map(({ name }) => {
      const layer = byName.get(name) ?? byName.get(bases.get(name)?.baseline_name ?? name);
      return layer === undefined ? null : layerSeries(layer, other, rows);
    });
  });
  const data: PageData = {
    reports: reports.map(({ label }) => escapeText(label)),
    groups: report.num_time_groups,
    qmax: qmaxOf(report.bit_width),
    threshold: report.smoothness_threshold,
    heat: [...HEAT_STEPS],
    grades: GRADES.map(({ grade }) => grade),
    codes: Object.fromEntries(layers.map(({ bits }) => [bits, codeAxis(bits)])),
    model: reports.map(({ report }) => modelSeries(report)),
    rows: rows.lists.map((list) => [...list]),
    series: [],
    layers: layerColumns(layers),
    changes: comparison === undefined
      ? null
      : layerChanges(layers.map(({ name }) => bases.get(name))),
    drift: drift && carryDrift(drift),
    activations: report.activations === undefined
      ? null
      : carryActivations(report.activations, layers.map(({ name }) => name)),
  };
  const room = MAX_DATA - sizeOf(data);
  const kept = chooseLayers(layers, series, room);
  data.series = series.map((list) => list.map((one, i) => kept.has(i) ? one : null));
  return { text: JSON.stringify(data).replaceAll("<", "\\u003c"), charted: kept.size };
}

/** The roughest layers of which all series fit. */
function chooseLayers(
  layers: readonly LayerReport[],
  series: readonly (PackedSeries | null)[][],
  room: number,
): Set<number> {
  const kept = new Set<number>();
  const roughest = layers.map(({ smoothness_score }, index) => ({ smoothness_score, index }))
    .sort((a, b) => a.smoothness_score - b.smoothness_score);
  let left = room;
  for (const { index } of roughest) {
    // And a comma behind each.
    left -= series.reduce((sum, list) => sum + sizeOf(list[index]) + 1, 0);
    if (left < 0) break;
    kept.add(index);
  }
  return kept;
}

/** Bytes of something as JSON. */
function sizeOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

function layerColumns(layers: readonly LayerReport[]): PageData["layers"] {
  const dtypes = [...new Set(layers.map(({ dtype }) => dtype))];
  const round = (value: number | null | undefined) => value == null ? null : roundTo(value, 2);
  return {
    name: layers.map(({ name }) => escapeText(name)),
    rows: layers.map(({ rows }) => rows),
    columns: layers.map(({ columns }) => columns),
    dtypes,
    dtype: layers.map(({ dtype }) => dtypes.indexOf(dtype)),
    bits: layers.map(({ bits }) => bits),
    share: layers.every(({ error_share }) => error_share === undefined)
      ? null
      : layers.map(({ error_share: share }) =>
        share === undefined ? null : Number(share.toPrecision(4))
      ),
    grade: layers.map((layer) => rankOf(judgeLayer(layer).grade)).join(""),
    score: layers.map(({ smoothness_score }) => roundTo(smoothness_score, 4)),
    violations: layers.map(({ violation_count }) => violation_count),
    cosine: layers.map(({ cosine_similarity }) => roundTo(cosine_similarity, 4)),
    sqnr: layers.map(({ sqnr_db }) => round(sqnr_db)),
    output: layers.every(({ output_sqnr_db }) => output_sqnr_db === undefined)
      ? null
      : layers.map(({ output_sqnr_db }) => round(output_sqnr_db)),
    source: layers.map(({ source_bytes }) => source_bytes),
    bytes: layers.map(({ output_bytes }) => output_bytes),
    codes: layers.map(({ weight_histogram: counts }) =>
      counts === undefined ? null : packHistogram(counts)
    ),
  };
}

function layerChanges(changes: readonly (LayerChange | undefined)[]): PageData["changes"] {
  const difference = (name: MetricName, digits: number) =>
    changes.map((change) => {
      const found = change?.metrics.find(({ metric }) => metric === name)?.difference ?? null;
      return found === null ? null : roundTo(found, digits);
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

function carryDrift({ timesteps, kinds }: Drift): PageData["drift"] {
  const round = (curve: readonly number[] | null) => curve && curve.map((one) => roundTo(one, 3));
  return {
    timesteps: timesteps.map((time) => Number(time.toPrecision(6))),
    kinds: kinds.map(({ range, rms }) => ({ range: round(range), rms: round(rms) })),
  };
}
