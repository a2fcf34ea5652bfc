/** The scores at which the colors of the heat maps change. */

import { GRADES } from "../report/interpret_scores.ts";

/** Colors within a grade, so that what is worse shows among many that are fair or poor. */
const WITHIN_GRADES = [0.75, 0.5, 0.3];

/** Least score of each color but the last, best first; `heat.css` has a color for each. */
export const HEAT_STEPS: readonly number[] = [
  ...GRADES.slice(0, -1).map(({ from }) => from),
  ...WITHIN_GRADES,
].sort((a, b) => b - a);
