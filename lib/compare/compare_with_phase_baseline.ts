/** A report's own baseline: what phase baseline comes to in the same run, beside what its phase did. */

import { compareReports } from "./compare_reports.ts";
import type { Comparison } from "../report/comparison.ts";
import { measureJumps, scoreJumps } from "../params/score_smoothness.ts";
import type { Report } from "../report/build_report.ts";
import { type LayerReport, scoreLayers } from "../report/report_layer.ts";

/** A run of another phase and its baseline. */
export interface PhaseComparison {
  /** The baseline as a report; what a run does not keep of it is `null`. */
  baseline: Report;
  /** The report compared with it, as far as a run keeps figures of it. */
  comparison: Comparison;
}

/** Compares a report with the baseline it holds; `undefined` where it holds none. */
export function compareWithPhaseBaseline(report: Report): PhaseComparison | undefined {
  const {
    baseline: figures,
    change: _change,
    comparison: _comparison,
    stored_smoothness_score: _stored,
    ...rest
  } = report;
  if (figures === undefined) return undefined;
  const layers = report.layers.flatMap((layer) => baselineOfLayer(layer, report));
  const baseline: Report = {
    ...rest,
    phase: "baseline",
    smoothing_window: null,
    smoothing_method: null,
    markov_weight: null,
    ...scoreLayers(layers, report.smoothness_threshold),
    ...figures,
    min_boundary_score: null,
    max_boundary_score: null,
    mean_boundary_score: null,
    std_boundary_score: null,
    layers,
  };
  const compared = compareReports(baseline, report);
  const metrics = compared.metrics.filter(({ metric }) => Object.hasOwn(figures, metric));
  // By slices no outputs of the baseline are measured.
  const measured = compared.layers.map((layer) => ({
    ...layer,
    metrics: layer.metrics.filter(({ metric, baseline }) =>
      metric !== "output_sqnr_db" || Number.isFinite(baseline)
    ),
  }));
  // The phase differs, as it is meant to, and nothing else.
  return {
    baseline,
    comparison: { ...compared, metrics, layers: measured, differing_settings: [] },
  };
}

/** A layer as phase baseline has it; none where the report does not say. */
function baselineOfLayer(layer: LayerReport, report: Report): LayerReport[] {
  const { baseline, output_sqnr_db: _own, ...rest } = layer;
  const groups = report.num_time_groups;
  if (baseline?.scale.length !== groups || baseline.zero_point.length !== groups) return [];
  // In phase baseline a group has the same parameters throughout: they alone make the jumps.
  const params = baseline.scale.map((scale, g) => ({ scale, zero_point: baseline.zero_point[g]! }));
  const jumps = measureJumps(params, layer.bits);
  const scores = scoreJumps(jumps, report.smoothness_threshold);
  return [{ ...rest, boundary_jumps: jumps, ...scores, ...baseline }];
}
