/** Plans the quantizer of a layer's inputs from a calibration. */

import type { Calibration } from "../calibration/calibration.ts";
import { type WithHistogram, withHistograms } from "../calibration/read_histograms.ts";
import {
  type InputQuantizer,
  type InputQuantizerSettings,
  planInputQuantizer,
} from "../params/plan_input_quantizer.ts";

/** Asks for the quantizer of a layer's inputs. */
export interface QuantizeInputsJob extends InputQuantizerSettings {
  verb: "quantizeInputs";
  /** The file, without its layers. */
  calibration: Omit<Calibration, "layers">;
  /** Those of one layer. */
  statistics: WithHistogram;
}

/** Runs the job. */
export function quantizeInputs(job: QuantizeInputsJob): Promise<InputQuantizer> {
  const { calibration, statistics } = job;
  return Promise.resolve(
    withHistograms(calibration, statistics, (all) => planInputQuantizer(all, job)),
  );
}
