/** How much each timestep counts when the inputs of all are added up. */

import { BadInputError } from "../base/errors.ts";

/** Steps of the noise schedule. */
const STEPS = 1000;

/** Noise added in the first step and the last: the linear schedule of Ho et al., "DDPM" (2020). */
const BETA = { first: 1e-4, last: 0.02 };

/** Most that a timestep counts, as in Hang et al., "Min-SNR weighting" (2023). */
const MAX_RATIO = 5;

/**
 * Weights by signal-to-noise ratio: w_t = min(abar / (1 - abar), 5), abar the share of the image in the
 * variance at timestep t. Mask levels, from 0 to 1, weigh 1 each.
 *
 * @param timesteps [T] diffusion timesteps from 0 to 999, rounded to whole ones, or levels from 0 to 1.
 * @throws {BadInputError} A timestep is neither.
 */
export function snrWeights(timesteps: readonly number[]): number[] {
  // Timesteps 0 and 1 alone are read as levels, and come out the same up to a factor: both pass 5.
  if (timesteps.every((t) => t >= 0 && t <= 1)) return timesteps.map(() => 1);
  const strange = timesteps.find((t) => !(t >= 0 && t <= STEPS - 1));
  if (strange !== undefined) {
    throw new BadInputError(
      `Cannot weigh timestep ${strange} by its signal-to-noise ratio: it must be from 0 to ` +
        `${STEPS - 1}: weigh the timesteps uniformly`,
    );
  }
  const ratios = listRatios();
  return timesteps.map((t) => Math.min(ratios[Math.round(t)]!, MAX_RATIO));
}

/** [1000] abar / (1 - abar), abar_t the product of 1 - beta up to step t. */
function listRatios(): Float64Array {
  const ratios = new Float64Array(STEPS);
  let kept = 1;
  for (let t = 0; t < STEPS; t++) {
    kept *= 1 - (BETA.first + (BETA.last - BETA.first) * t / (STEPS - 1));
    ratios[t] = kept / (1 - kept);
  }
  return ratios;
}
