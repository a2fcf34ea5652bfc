/** Reads what a calibration knows of a layer's inputs, and plans error compensation with it. */

import type { Calibration, LayerStatistics } from "../calibration/calibration.ts";
import { readInputs, readSegments } from "../calibration/read_inputs.ts";
import { planCompensation } from "../params/plan_compensation.ts";
import type { CompensationInputs } from "../types.ts";

/** Asks for the inputs of a layer. */
export interface PlanInputsJob {
  verb: "planInputs";
  /** The file, without its layers. */
  calibration: Omit<Calibration, "layers">;
  /** Those of one layer. */
  statistics: LayerStatistics;
  /** [T] how much each timestep counts; absent: as it was recorded. */
  weights: number[] | undefined;
}

/** Runs the job; `undefined` where nothing is known of the inputs. */
export function planInputs(
  { calibration, statistics, weights }: PlanInputsJob,
): Promise<CompensationInputs | undefined> {
  const moments = readInputs(calibration, statistics, weights);
  const segments = moments && readSegments(calibration, statistics);
  return Promise.resolve(moments && planCompensation(moments, segments));
}
