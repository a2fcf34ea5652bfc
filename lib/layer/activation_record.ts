/** What a run found out about the inputs of its layers, as plain data, like the records of its weights. */

import type { InputQuantizer } from "../params/plan_input_quantizer.ts";
import type { ActivationBits, ParamTrack, TimeAxis } from "../types.ts";

/** The quantizer of a layer's inputs. */
export interface ActivationRecord extends InputQuantizer {
  /** Module name. */
  name: string;
  /** Output features, and input features: what its figures weigh. */
  rows: number;
  columns: number;
}

/** The quantizers of a run. */
export interface ActivationRecords {
  /** Width of a code. */
  bits: ActivationBits;
  /** [T] diffusion timesteps or mask levels. */
  timesteps: readonly number[];
  /** Timesteps, and the time groups of all layers. */
  axis: TimeAxis;
  /** The layers whose inputs are quantized. */
  layers: ActivationRecord[];
  /** Those whose inputs codes would hold far worse, and so are left as they are. */
  kept: ActivationRecord[];
  /** Layers whose inputs are not known, and so are left as they are. */
  missing: number;
}

/** The parameters of a layer's inputs over the timesteps, as they are stored. */
export function trackOfInputs(
  { axis }: Pick<ActivationRecords, "axis">,
  { schedule, scale, zero_point }: Pick<ActivationRecord, "schedule" | "scale" | "zero_point">,
  which: "exact" | "stored",
): ParamTrack {
  return schedule?.[which] ?? { starts: axis.boundaries, scale, zero_point };
}
