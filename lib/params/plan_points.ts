/** The points of a chart over the timesteps of a calibration, which may have more of them than anyone can see. */

import { planTimeGroups } from "../plan/plan_time_groups.ts";

/** Most points. */
const MAX_POINTS = 256;

/**
 * Cuts timesteps into runs, one for each point: each timestep alone, or 256 runs where there are more.
 *
 * @returns First timestep of each run, and the number of timesteps at the end: [P+1].
 */
export function planPoints(timesteps: number): number[] {
  return planTimeGroups(timesteps, Math.min(MAX_POINTS, timesteps));
}

/** The timestep in the middle of each run, which stands for it: [P]. */
export function middlesOf(starts: readonly number[]): number[] {
  return starts.slice(1).map((end, p) => Math.floor((starts[p]! + end - 1) / 2));
}
