/**
 * Isotherm quantizes safetensors diffusion models to INT2, INT4 or INT8 and scores how smoothly the
 * quantization parameters move from one time group to the next.
 *
 * @example Score the parameters of four time groups
 * ```ts
 * import assert from "node:assert/strict";
 * import { scoreSmoothness } from "./mod.ts";
 *
 * const groups = [0.10, 0.11, 0.18, 0.17].map((scale) => ({ scale, zero_point: 1 }));
 * const { smoothness_score, violations } = scoreSmoothness(groups, 2);
 * assert.equal(smoothness_score.toFixed(2), "0.87");
 * assert.deepEqual(violations.map(({ boundary_idx }) => boundary_idx), [1]);
 * ```
 *
 * @example Judge a report by another one
 * ```ts ignore
 * import { judgeReports, parseReport } from "./mod.ts";
 *
 * const [baseline, current] = ["baseline.json", "baseline_metrics.json"].map((file) =>
 *   parseReport(Deno.readTextFileSync(file))
 * );
 * const { passed, findings } = judgeReports(baseline!, current!);
 * console.log(passed, findings.filter((finding) => !finding.passed));
 * ```
 *
 * @module
 */

import { compileRegex } from "./lib/base/linear_regex.ts";
import { useRegexEngine } from "./lib/base/match_pattern.ts";

// Patterns of rules and settings may be regular expressions.
useRegexEngine(compileRegex);

export type {
  ActivationBits,
  ActivationRange,
  AxisSource,
  BackendChoice,
  BackendName,
  Bits,
  CodeWidth,
  FormatName,
  Granularity,
  Grouping,
  OutlierInputs,
  OutputSums,
  Phase,
  QualitySums,
  QuantParams,
  SkippedTensor,
  SmoothingMethod,
} from "./lib/types.ts";
export { BadInputError, BaselineError, InterruptedError } from "./lib/base/errors.ts";
export { estimateParams } from "./lib/params/estimate_params.ts";
export { applyRules, type Finding } from "./lib/gate/apply_rules.ts";
export { compareReports } from "./lib/compare/compare_reports.ts";
export type {
  BoundaryChange,
  Comparison,
  Direction,
  LayerChange,
  MetricChange,
  ReportIdentity,
  SettingChange,
} from "./lib/report/comparison.ts";
export { formatBaseline } from "./lib/gate/format_baseline.ts";
export {
  BUILT_IN_RULES,
  chooseRules,
  type GateRule,
  type GateTolerances,
} from "./lib/gate/gate_rules.ts";
export { type Judgement, type JudgeOptions, judgeReports } from "./lib/gate/judge_reports.ts";
export type { LayerCount, MetricName } from "./lib/report/metrics.ts";
export { parseFigures, parseReport } from "./lib/report/parse_report.ts";
export { parseRules } from "./lib/gate/parse_rules.ts";
export {
  FIGURE_KEYS,
  LAYER_KEYS,
  type LayerFigures,
  OPTIONAL_KEYS,
  type ReportFigures,
} from "./lib/report/report_figures.ts";
export { type Badge, makeBadge } from "./lib/history/badge.ts";
export {
  type EntryOptions,
  type HistoryBaseline,
  type HistoryEntry,
  type HistorySettings,
  makeHistoryEntry,
} from "./lib/history/entry.ts";
export { type Appended, appendToHistory, parseHistory } from "./lib/history/parse_history.ts";
export { renderHistoryHtml } from "./lib/render/html_history.ts";
export { measureQuality, type Quality } from "./lib/params/measure_quality.ts";
export {
  DEFAULT_SETTINGS,
  type Modulation,
  type QuantizeSettings,
  type TimestepWeights,
} from "./lib/settings/settings.ts";
export {
  type CandidateList,
  type CandidatePath,
  costOfPath,
  optimizePath,
} from "./lib/params/optimize_path.ts";
export { packedBytes, packRow, unpackRow } from "./lib/compute/pack_codes.ts";
export { quantizeModel, type RunHooks } from "./lib/run/pipeline.ts";
export {
  type InputSchedules,
  type LayerSchedule,
  readTimeGroups,
  type TimeGroups,
} from "./lib/run/read_time_groups.ts";
export { planTimeGroups } from "./lib/plan/plan_time_groups.ts";
export type { Calibration, LayerStatistics } from "./lib/calibration/calibration.ts";
export type { Drift, DriftOfKind } from "./lib/calibration/measure_drift.ts";
export { openCalibration } from "./lib/calibration/open_calibration.ts";
export type {
  ActivationsReport,
  InputFigures,
  KeptInput,
  LayerActivations,
} from "./lib/report/report_activations.ts";
export type { CalibrationReport, OutputFigures } from "./lib/report/report_calibration.ts";
export type { Report } from "./lib/report/build_report.ts";
export type { PhaseFigures } from "./lib/report/phase_figures.ts";
export type { ComponentReport } from "./lib/report/report_component.ts";
export type { LayerBaseline, LayerReport } from "./lib/report/report_layer.ts";
export type { Interpretation } from "./lib/report/interpret_scores.ts";
export { type Grade, type GradeLimits, GRADES, type QualityMeasure } from "./lib/report/grades.ts";
export {
  type GradedQuality,
  type JudgedFigures,
  type StoredScore,
  type Verdict,
} from "./lib/report/judge_quality.ts";
export type { Advice, AdvisedReport, ChangedSettings } from "./lib/report/advise.ts";
export { type QualityReport, reportQuality } from "./lib/report/report_quality.ts";
export type { AdvisedCommand, RunPaths } from "./lib/render/repeat_command.ts";
export {
  type ComparisonOptions,
  type HtmlOptions,
  type Pictures,
  renderComparisonHtml,
  renderHtml,
} from "./lib/render/render_html.ts";
export type { ComparisonLabels } from "./lib/render/render_comparison.ts";
export { renderSummary, type SummaryOptions } from "./lib/render/render_summary.ts";
export type { FloatDtype } from "./lib/safetensors/dtype.ts";
export type { TensorInfo } from "./lib/safetensors/header.ts";
export { scoreSteps } from "./lib/params/score_track.ts";
export {
  type BoundaryJump,
  measureJumps,
  scoreJumps,
  scoreSmoothness,
  type Severity,
  type Smoothness,
  type Violation,
  weightJumps,
} from "./lib/params/score_smoothness.ts";
export { smoothGroups, type Smoothing } from "./lib/params/smooth_params.ts";
export { checkReport, type ReportedQuality } from "./lib/run/check_report.ts";
export { type Verification, verifyCheckpoint } from "./lib/run/verify_checkpoint.ts";
