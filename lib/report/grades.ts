/**
 * The grades that a run and its layers get: one table, read by console, page, summary and gate.
 *
 * Limits of smoothness are conventions, and so are those of violations. Limits of quality are measured on two
 * models that ship with the project, digits-dit and small-dlm: `bench/verdict_bench.ts` prints what both judges
 * found at each SQNR, docs/metrics.md shows it.
 */

/** How good something is; only quality can be broken. */
export type Grade = "excellent" | "good" | "fair" | "poor" | "broken";

/** What a quality is graded by: the SQNR of the weights, or of the layers' outputs by a calibration. */
export type QualityMeasure = "weights" | "outputs";

/** What a figure has to be for a grade. */
export interface GradeLimits extends Record<QualityMeasure, number> {
  /** The grade. */
  grade: Grade;
  /** Least smoothness score; above 1: no score is as bad. */
  score: number;
  /** Most violations. */
  violations: number;
  /** What both judges found of models of that quality, in words. */
  seen: string;
}

/**
 * The grades, best first. `weights` and `outputs` are the least SQNR in dB. Broken is what lies below anything
 * that kept its samples on both judges: by slices the digits fall apart, and in text at least every fourth token
 * is another one.
 */
export const GRADES: readonly GradeLimits[] = [
  {
    grade: "excellent",
    score: 0.9,
    violations: 0,
    weights: 35,
    outputs: 38,
    seen: "models like it do as the original does",
  },
  {
    grade: "good",
    score: 0.82,
    violations: 3,
    weights: 18,
    outputs: 22,
    seen: "models like it stay close to the original",
  },
  {
    grade: "fair",
    score: 0.65,
    violations: 6,
    weights: 12,
    outputs: 16,
    seen: "models like it hold, with other details",
  },
  {
    grade: "poor",
    score: 0,
    violations: Infinity,
    weights: 7.5,
    outputs: 12,
    seen: "models like it hold, much in them is other",
  },
  {
    grade: "broken",
    score: -Infinity,
    violations: Infinity,
    weights: -Infinity,
    outputs: -Infinity,
    seen: "some models like it fall apart",
  },
];

/** The grade of a smoothness score. */
export function gradeScore(score: number): Grade {
  return gradeBy((limits) => score >= limits.score);
}

/** The grade of a violation count. */
export function gradeViolations(count: number): Grade {
  return gradeBy(({ violations }) => count <= violations);
}

/** The grade of an SQNR in dB; `null`: there is no error. What is no number is broken. */
export function gradeQuality(measure: QualityMeasure, db: number | null): Grade {
  return gradeBy((limits) => (db ?? Infinity) >= limits[measure]);
}

function gradeBy(isReached: (limits: GradeLimits) => boolean): Grade {
  return GRADES.find(isReached)?.grade ?? "broken";
}

/** The worst of some grades; excellent where there are none. */
export function worstGrade(grades: readonly Grade[]): Grade {
  return GRADES.findLast(({ grade }) => grades.includes(grade))?.grade ?? "excellent";
}

/** Whether a grade asks for something to be done. */
export function isLow(grade: Grade): boolean {
  return rankOf(grade) >= rankOf("fair");
}

/** The place of a grade: 0, excellent, to 4, broken. */
export function rankOf(grade: Grade): number {
  return GRADES.findIndex((one) => one.grade === grade);
}

/** A grade as a number, of which more is better: 4 is excellent, 0 broken. */
export function pointsOf(grade: Grade): number {
  return GRADES.length - 1 - rankOf(grade);
}

/** The grade of a number of points; `undefined` where it is no whole number of them. */
export function gradeOfPoints(points: number): Grade | undefined {
  return GRADES[GRADES.length - 1 - points]?.grade;
}
