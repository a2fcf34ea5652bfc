/** The verdict on a run: how good the model is that it wrote, and beside that how smooth its parameters are. */

import type { LayerReport } from "./report_layer.ts";
import type { OutputFigures } from "./report_calibration.ts";
import { meanSqnr, type Quality } from "../params/measure_quality.ts";
import type { Smoothness } from "../params/score_smoothness.ts";
import {
  type Grade,
  gradeQuality,
  GRADES,
  gradeScore,
  gradeViolations,
  type QualityMeasure,
  worstGrade,
} from "./grades.ts";

/** What is said of the quality of layers. */
export interface GradedQuality {
  /** The grade. */
  grade: Grade;
  /** What it was graded by: the weights, or the layers' outputs by the calibration. */
  measure: QualityMeasure;
  /** The SQNR that was graded, in dB; `null`: there is no error. */
  sqnr_db: number | null;
}

/** The verdict on a run. */
export interface Verdict {
  /** The worse of the grades of quality and smoothness. */
  verdict: Grade;
  /** Of the model, as it is stored. */
  quality: GradedQuality;
  /** In a calibrated run, the layers whose inputs are unknown: graded by their weights; `null`: there are none. */
  unmeasured: GradedQuality & { layers: number } | null;
  /** Of the quantized inputs of layers, by what is expected of them; `null`: they are not quantized. */
  inputs: { grade: Grade; sqnr_db: number | null } | null;
  /** The worse of the grades of score and violations, of weights and inputs; `null`: there is no boundary to score. */
  smoothness: Grade | null;
}

/** The score of a report, and what it is of the parameters as they are stored where that differs. */
export interface StoredScore extends Pick<Smoothness, "smoothness_score"> {
  /** Of parameters that were smoothed, after their zero points were rounded. */
  stored_smoothness_score?: number;
}

/** What of a report is judged. */
export interface JudgedFigures
  extends
    StoredScore,
    OutputFigures,
    Pick<Quality, "sqnr_db">,
    Pick<Smoothness, "violation_count"> {
  /** Time groups G. */
  num_time_groups: number;
  /** What is expected of quantized inputs; absent where they are not. */
  activation_sqnr_db?: number | null;
  /** The quantizers of inputs, as far as they are judged. */
  activations?: StoredScore & Pick<Smoothness, "violation_count">;
  /** Quantized layers. */
  layers: readonly Pick<LayerReport, "rows" | "columns" | "sqnr_db" | "output_sqnr_db">[];
}

/**
 * Judges a run by its figures. Where a calibration is known, by the outputs of the layers, which the model
 * follows; layers of which nothing is known are judged by their weights, and the worse of both counts.
 */
export function judgeQuality(report: JudgedFigures): Verdict {
  const { output_sqnr_db: outputs, layers } = report;
  const quality = outputs === undefined
    ? gradeBy("weights", report.sqnr_db)
    : gradeBy("outputs", outputs);
  const rest = outputs === undefined
    ? []
    : layers.filter(({ output_sqnr_db }) => output_sqnr_db === undefined);
  const unmeasured = rest.length === 0
    ? null
    : { ...gradeBy("weights", meanSqnr(rest.map(weighWeights))), layers: rest.length };
  const smoothness = gradeSmoothness(report);
  const { activation_sqnr_db: db } = report;
  // An error of the input is one of the output as well, about as large beside the signal.
  const inputs = db === undefined ? null : { grade: gradeQuality("outputs", db), sqnr_db: db };
  const grade = worstGrade([
    quality.grade,
    ...unmeasured === null ? [] : [unmeasured.grade],
    ...inputs === null ? [] : [inputs.grade],
  ]);
  return {
    verdict: worstGrade([grade, ...smoothness === null ? [] : [smoothness]]),
    quality: { ...quality, grade },
    unmeasured,
    inputs,
    smoothness,
  };
}

/** The quality of one layer. */
export function judgeLayer(
  { sqnr_db, output_sqnr_db }: Pick<LayerReport, "sqnr_db" | "output_sqnr_db">,
): GradedQuality {
  return output_sqnr_db === undefined
    ? gradeBy("weights", sqnr_db)
    : gradeBy("outputs", output_sqnr_db);
}

/** The score that parameters have as they are stored. */
export function storedScore({ smoothness_score, stored_smoothness_score }: StoredScore): number {
  return stored_smoothness_score ?? smoothness_score;
}

/** A grade in a few words: what was measured, and what both judges found of models like that. */
export function describeQuality({ quality, unmeasured, inputs }: Verdict): string {
  const { seen } = GRADES.find(({ grade }) => grade === quality.grade)!;
  const parts = [
    `SQNR of the ${quality.measure} ${showSqnr(quality)}`,
    ...unmeasured === null ? [] : [
      `of the weights of ${unmeasured.layers} layers without calibration ${showSqnr(unmeasured)}`,
    ],
    ...inputs === null ? [] : [`expected of the quantized inputs ${showSqnr(inputs)}`],
  ];
  return `${parts.join(", ")}: ${seen}`;
}

function showSqnr({ sqnr_db }: Pick<GradedQuality, "sqnr_db">): string {
  return sqnr_db === null ? "without error" : `${sqnr_db.toFixed(2)} dB`;
}

function gradeBy(measure: QualityMeasure, db: number | null): GradedQuality {
  return { grade: gradeQuality(measure, db), measure, sqnr_db: db };
}

function gradeSmoothness(report: JudgedFigures): Grade | null {
  if (report.num_time_groups === 1) return null;
  const scored = [report, ...report.activations === undefined ? [] : [report.activations]];
  return worstGrade(
    scored.flatMap((one) => [gradeScore(storedScore(one)), gradeViolations(one.violation_count)]),
  );
}

/** The error of a layer's weights relative to them, and what it weighs. */
function weighWeights(
  { rows, columns, sqnr_db }: Pick<LayerReport, "rows" | "columns" | "sqnr_db">,
): { elements: number; error: number; signal: number } {
  const error = sqnr_db === null ? 0 : 10 ** (-sqnr_db / 10);
  return { elements: rows * columns, error, signal: 1 };
}
