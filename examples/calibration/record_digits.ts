/** Records what the digits DiT is fed. */

import { fileURLToPath } from "node:url";
import { BadInputError } from "../../lib/base/errors.ts";
import { DIT } from "../digits-dit-denoiser/dimensions.ts";
import { SIGNAL_LEFT } from "../digits-dit-denoiser/noise_schedule.ts";
import { loadWeights } from "../forward/load_weights.ts";
import { record } from "./record.ts";
import { checkSettings, type RecordSettings, spreadTimesteps } from "./record_settings.ts";

const MODEL = fileURLToPath(new URL("../digits-dit", import.meta.url));

/** How much of the digits DiT is recorded. */
export interface DigitsSettings extends RecordSettings {
  /** Digits noised at each timestep. Default: 48. */
  images?: number;
  /** Timesteps, in the middle of as many equal parts of `from` to `to`. Default: 100, which are 5, 15, .. 995. */
  timesteps?: number;
  /** What timesteps weigh: all the same, or by signal to noise, see {@linkcode snrWeights}. Default: all the same. */
  weights?: "uniform" | "snr";
}

/** Most that a timestep weighs. */
const MOST = 5;

/**
 * Weights of timesteps by signal to noise: min(abar / (1 - abar), 5).
 *
 * @param timesteps [T], whole numbers from 0 to 999.
 */
export function snrWeights(timesteps: readonly number[]): number[] {
  return timesteps.map((t) => Math.min(SIGNAL_LEFT[t]! / (1 - SIGNAL_LEFT[t]!), MOST));
}

/**
 * Records the digits DiT: the attention and MLP layers.
 *
 * @returns The bytes of a calibration file of version 2: the same for the same settings, on every machine.
 * @throws {BadInputError} A count is no whole number from 1, there are more segments than timesteps, or more
 *   timesteps than lie between `from` and `to`.
 */
export async function recordDigits(
  settings: DigitsSettings = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { images = 48, timesteps: count = 100, weights = "uniform", ...kept } = settings;
  const checked = checkSettings(kept, count, { images, timesteps: count });
  const timesteps = spreadTimesteps(kept, count, DIT.timesteps)
    .map((t) => Math.min(DIT.timesteps - 1, Math.floor(t)));
  const different = new Set(timesteps).size;
  if (different < count) {
    throw new BadInputError(
      `Cannot record: timesteps is ${count}, must be at most ${different}, all that there are`,
    );
  }
  return await record({
    source: { kind: "digits", images, timesteps },
    weights: await loadWeights(MODEL),
    model: "digits-dit",
    timesteps,
    ...weights === "snr" && { timestepWeights: snrWeights(timesteps) },
    ...checked,
  });
}
