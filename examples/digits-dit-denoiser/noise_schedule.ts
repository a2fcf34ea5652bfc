/** The noise schedule the model was trained with (Ho et al. 2020, arXiv:2006.11239). */

import { DIT } from "./dimensions.ts";

/** Variance added by the first and by the last step; linear in between. */
const BETA = { first: 1e-4, last: 0.02 } as const;

/** abar: the share of the image's variance left at each timestep, falling from nearly 1 to nearly 0: [1000]. */
export const SIGNAL_LEFT: Float64Array = planSignal();

function planSignal(): Float64Array {
  const left = new Float64Array(DIT.timesteps);
  let product = 1;
  for (let t = 0; t < DIT.timesteps; t++) {
    product *= 1 - (BETA.first + (BETA.last - BETA.first) * t / (DIT.timesteps - 1));
    left[t] = product;
  }
  return left;
}

/**
 * Adds noise: x_t = sqrt(abar) x + sqrt(1 - abar) noise.
 *
 * @param images x: [images, 64], -1 to 1.
 * @param noise Of the same shape.
 * @param timestep t, 0 to 999.
 */
export function addNoise(
  images: Float32Array,
  noise: Float32Array,
  timestep: number,
): Float32Array {
  const left = SIGNAL_LEFT[timestep]!;
  const [signal, spread] = [Math.sqrt(left), Math.sqrt(1 - left)];
  return images.map((x, i) => signal * x + spread * noise[i]!);
}
