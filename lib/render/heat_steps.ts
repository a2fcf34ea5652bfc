/** The scores at which the colors of the heat maps change. */

import { GRADES } from "../report/grades.ts";

/** Colors within a grade, so that what is worse shows among many that are fair or poor. */
const WITHIN_GRADES = [0.75, 0.5, 0.3];

/** Least score of each color but the last, best first; `heat.css` has a color for each. */
export const HEAT_STEPS: readonly number[] = [
  ...GRADES.filter(({ score }) => score > 0).map(({ score }) => score),
  ...WITHIN_GRADES,
].sort((a, b) => b - a);
