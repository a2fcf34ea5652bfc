/** Hands what is known of inputs to the layers of a run: read once for layers that share theirs, and dropped after the last. */

import type { Calibration } from "../calibration/calibration.ts";
import { snrWeights } from "../calibration/timestep_weights.ts";
import type { Backend } from "../jobs/backend.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import type { CompensationInputs } from "../types.ts";

/**
 * Inputs that are kept for layers still to come: the largest layers are done first, so that those of a whole
 * model might wait for its small ones. What was dropped is read again.
 */
const HELD_AT_ONCE = 16;

/** Lends the inputs of layers. */
export interface InputLender {
  /**
   * Does work with the inputs of a layer, which are `undefined` where nothing is known of them.
   */
  lend<T>(
    layer: LayerPlan,
    use: (inputs: CompensationInputs | undefined) => Promise<T>,
  ): Promise<T>;
}

/** The weights of a calibration's timesteps that a run asks for; `undefined`: those it was recorded with. */
function weightsOf(
  { timesteps }: Pick<Calibration, "timesteps">,
  { timestepWeights }: Pick<QuantizeSettings, "timestepWeights">,
): number[] | undefined {
  if (timestepWeights === undefined) return undefined;
  return timestepWeights === "snr" ? snrWeights(timesteps) : timesteps.map(() => 1);
}

/** What the relative error of each timestep counts, where inputs are quantized; `undefined`: all the same. */
export function countedWeights(
  calibration: Pick<Calibration, "timesteps" | "weights">,
  settings: Pick<QuantizeSettings, "timestepWeights">,
): number[] | undefined {
  return weightsOf(calibration, settings) ?? calibration.weights;
}

/**
 * Makes a lender.
 *
 * @param calibration `undefined`: nothing is known.
 * @param layers All that will ask.
 */
export function shareInputs(
  calibration: Calibration | undefined,
  layers: readonly LayerPlan[],
  settings: QuantizeSettings,
  backend: Backend,
): InputLender {
  if (calibration === undefined) return { lend: (_layer, use) => use(undefined) };
  const { layers: statistics, ...file } = calibration;
  const weights = weightsOf(calibration, settings);
  const waiting = new Map<string, number>();
  for (const { name } of layers) {
    const own = statistics.get(name);
    if (own !== undefined) waiting.set(own.name, (waiting.get(own.name) ?? 0) + 1);
  }
  const held = new Map<string, Promise<CompensationInputs | undefined>>();
  return {
    async lend(layer, use) {
      const own = statistics.get(layer.name);
      if (own === undefined) return await use(undefined);
      const found = held.get(own.name) ??
        backend.run({ verb: "planInputs", calibration: file, statistics: own, weights });
      // Behind the others, so that the first is the one not used for longest.
      held.delete(own.name);
      held.set(own.name, found);
      const [oldest] = held;
      if (held.size > HELD_AT_ONCE && oldest !== undefined) held.delete(oldest[0]);
      try {
        return await use(await found);
      } finally {
        const left = waiting.get(own.name)! - 1;
        waiting.set(own.name, left);
        if (left === 0) held.delete(own.name);
      }
    },
  };
}
