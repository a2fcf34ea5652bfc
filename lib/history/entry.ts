/** An entry of a history: the figures of one run that are followed over commits, as plain JSON. */

import { checkValue } from "../base/value_rules.ts";
import { judgeReports } from "../gate/judge_reports.ts";
import type { Report } from "../report/build_report.ts";
import type { Grade, QualityMeasure } from "../report/grades.ts";
import { judgeQuality, storedScore } from "../report/judge_quality.ts";
import { isSameFigure, sixDigits } from "../report/metrics.ts";
import { countRough } from "../report/rank_damage.ts";
import { identifyCalibration } from "../report/report_calibration.ts";
import { type ReportFigures, SETTING_KEYS } from "../report/report_figures.ts";
import { COMMIT } from "./commit.ts";

/** Version of an entry's layout; it grows when a key changes its meaning or goes away. */
export const HISTORY_VERSION = 1;

/**
 * The settings that two runs have to share to be compared, by their keys in the report, and `calibration` in words;
 * the model's name is beside them. What is `null`, `false` or empty is left out.
 */
export type HistorySettings = Readonly<Record<string, string | number | boolean | string[]>>;

/** What the gate's built-in rules make of a baseline. */
export interface HistoryBaseline {
  /** Its smoothness score, 0 to 1; `null` where it has one time group, and so no boundary. */
  smoothness_score: number | null;
  /**
   * Lowest score that passes; `null` where there is no boundary, or where the gate judges another score than the
   * entry's: that before zero points are rounded.
   */
  least_smoothness_score: number | null;
  /** Which SQNR the gate judges. */
  measure: QualityMeasure;
  /** That SQNR of the baseline in dB; `null`: without error. */
  sqnr_db: number | null;
  /** Lowest SQNR that passes, in dB; `null`: none but one without error. */
  least_sqnr_db: number | null;
  /** Its weights on disk, in 10^6 bytes. */
  model_size_mb: number;
  /** Largest size that passes, in 10^6 bytes. */
  most_model_size_mb: number;
}

/** One run in a history. Figures have 6 significant digits. */
export interface HistoryEntry {
  /** Layout of this object: {@linkcode HISTORY_VERSION}. */
  schema_version: number;
  /** Hash of the commit that was measured, in lower case; `null` where none was given. */
  commit: string | null;
  /** The model directory's name. */
  model_name: string;
  /** The settings of the run. */
  settings: HistorySettings;
  /** Score of the parameters as they are stored, 0 to 1; `null`: with one time group there is no boundary. */
  smoothness_score: number | null;
  /** Boundaries of the model whose scale jump passes the threshold. */
  violation_count: number;
  /** Layers with violations of their own. */
  layers_with_violations: number;
  /** Grade of the quality. */
  grade: Grade;
  /** What was graded. */
  measure: QualityMeasure;
  /** SQNR of the weights in dB; `null`: without error. */
  sqnr_db: number | null;
  /** SQNR of the layers' outputs in dB; absent where nothing is known of their inputs. */
  output_sqnr_db?: number;
  /** Weights on disk, in 10^6 bytes. */
  model_size_mb: number;
  /** Bits on disk an element of the source model. */
  bits_per_weight: number;
  /** Wall time of the run in seconds. */
  quantization_time_s: number;
  /** What it is judged by; absent where no baseline was given. */
  baseline?: HistoryBaseline;
}

/** What goes into an entry besides its report. */
export interface EntryOptions {
  /** Hash of the commit that was measured: 7 to 64 hexadecimal digits. Default: none. */
  commit?: string | undefined;
  /** A report or baseline of the same settings, for the band that a gate allows. Default: none. */
  baseline?: ReportFigures | undefined;
  /** What messages call the baseline, usually its file. */
  baselineName?: string | undefined;
}

/**
 * Makes the entry of a report. The same report and options give the same entry.
 *
 * @throws {BadInputError} The commit is no hash.
 * @throws {BaselineError} The baseline was measured with other settings.
 */
export function makeHistoryEntry(report: Report, options: EntryOptions = {}): HistoryEntry {
  const { commit, baseline, baselineName } = options;
  if (commit !== undefined) checkValue("The commit", commit, COMMIT);
  const { grade, measure } = judgeQuality(report).quality;
  const { output_sqnr_db: output, layers, num_time_groups } = report;
  const score = storedScore(report);
  return {
    schema_version: HISTORY_VERSION,
    commit: commit?.toLowerCase() ?? null,
    model_name: report.model_name,
    settings: pickSettings(report),
    smoothness_score: num_time_groups === 1 ? null : sixDigits(score),
    violation_count: report.violation_count,
    layers_with_violations: countRough(layers),
    grade,
    measure,
    sqnr_db: roundSqnr(report.sqnr_db),
    ...output !== undefined && { output_sqnr_db: sixDigits(output) },
    model_size_mb: sixDigits(report.model_size_mb),
    bits_per_weight: sixDigits(report.bits_per_weight),
    quantization_time_s: sixDigits(report.quantization_time_s),
    ...baseline !== undefined && { baseline: judgeBy(baseline, report, baselineName) },
  };
}

/** The SQNR that an entry is graded by, in dB; `null`: without error. */
export function gradedSqnr(
  entry: Pick<HistoryEntry, "measure" | "sqnr_db" | "output_sqnr_db">,
): number | null {
  return entry.measure === "outputs" ? entry.output_sqnr_db ?? null : entry.sqnr_db;
}

/** A figure that lies outside of what the gate's built-in rules allow. */
export type Breach = "score" | "SQNR" | "size";

/** The figures of an entry outside of its baseline's band; `undefined` where it has no baseline. */
export function listBreaches(entry: HistoryEntry): Breach[] | undefined {
  const { baseline, smoothness_score: score, model_size_mb: size } = entry;
  if (baseline === undefined) return undefined;
  const { least_smoothness_score: leastScore, least_sqnr_db: leastSqnr } = baseline;
  const sqnr = baseline.measure === entry.measure ? gradedSqnr(entry) : entry.sqnr_db;
  return [
    ...leastScore !== null && score !== null && score < leastScore ? ["score" as const] : [],
    ...(sqnr ?? Infinity) < (leastSqnr ?? Infinity) ? ["SQNR" as const] : [],
    ...size > baseline.most_model_size_mb ? ["size" as const] : [],
  ];
}

function pickSettings(report: Report): HistorySettings {
  const settings: Record<string, unknown> = { ...report, ignore: [...report.ignore].sort() };
  const keys = SETTING_KEYS.filter((key) => key !== "model_name");
  const pairs = [
    ...keys.map((key) => [key, settings[key]] as const),
    ["calibration", identifyCalibration(report.calibration)] as const,
  ];
  const isSaid = ([, value]: readonly [string, unknown]) =>
    value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(pairs.filter(isSaid)) as HistorySettings;
}

/** What a gate of which nothing was said allows a report of these settings. */
function judgeBy(
  baseline: ReportFigures,
  report: Report,
  baselineName: string | undefined,
): HistoryBaseline {
  const { findings } = judgeReports(
    baseline,
    report,
    baselineName === undefined ? {} : { baselineName },
  );
  const limitOf = (name: string) => findings.find(({ metric }) => metric === name)?.allowed;
  const judgesOutputs = limitOf("output_sqnr_db") !== undefined;
  const metric = judgesOutputs ? "output_sqnr_db" : "sqnr_db";
  const isScored = report.num_time_groups > 1;
  const isShown = isScored && isSameFigure(report.smoothness_score, storedScore(report));
  return {
    smoothness_score: isScored ? sixDigits(baseline.smoothness_score) : null,
    least_smoothness_score: isShown ? sixDigits(limitOf("smoothness_score")!) : null,
    measure: judgesOutputs ? "outputs" : "weights",
    sqnr_db: roundSqnr(baseline[metric] ?? null),
    least_sqnr_db: roundSqnr(limitOf(metric) ?? null),
    model_size_mb: sixDigits(baseline.model_size_mb),
    most_model_size_mb: sixDigits(limitOf("model_size_mb")!),
  };
}

/** A ratio without end, as there is no error, is `null`, since JSON has no such number. */
function roundSqnr(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : sixDigits(value);
}
