/** Draws digits from a denoiser. */

import type { Denoiser } from "./denoiser.ts";
import { DIT } from "./dimensions.ts";
import { SIGNAL_LEFT } from "./noise_schedule.ts";
import { predictNoise } from "./predict_noise.ts";

/** How digits are drawn. */
export const SAMPLING = {
  /** DDIM steps. */
  steps: 50,
  /** How far beyond the prediction without a class that with the class is followed; 1: just to it. */
  guidance: 2,
} as const;

/** Timesteps from pure noise to none, evenly: 999, .. 0. */
const TIMESTEPS = Array.from({ length: SAMPLING.steps }, (_, i) => {
  const last = DIT.timesteps - 1;
  return Math.round(last - last * i / (SAMPLING.steps - 1));
});

/**
 * Denoises images step by step: deterministic DDIM (Song et al. 2021, arXiv:2010.02502, eta = 0) with
 * classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598). At each step the image foreseen is
 * kept within -1..1, which every image is, and the noise is derived from it again: so do the samplers of
 * guided-diffusion by default (`clip_denoised`) for models of pixels (Dhariwal & Nichol 2021,
 * arXiv:2105.05233).
 *
 * @param noise Where the images start: [images, 64], standard normal.
 * @param labels The digit wanted of each: [images].
 * @returns [images, 64], -1 to 1.
 */
export function sample(
  model: Denoiser,
  noise: Float32Array,
  labels: readonly number[],
): Float32Array {
  let images = noise;
  for (const [step, timestep] of TIMESTEPS.entries()) {
    const eps = predictGuided(model, images, timestep, labels);
    const next = TIMESTEPS[step + 1];
    images = stepBack(
      images,
      eps,
      SIGNAL_LEFT[timestep]!,
      next === undefined ? 1 : SIGNAL_LEFT[next]!,
    );
  }
  return images;
}

/**
 * One DDIM step.
 *
 * @param left abar of the images, below 1.
 * @param nextLeft abar of the images to come.
 */
function stepBack(
  images: Float32Array,
  eps: Float32Array,
  left: number,
  nextLeft: number,
): Float32Array {
  const [signal, spread] = [Math.sqrt(left), Math.sqrt(1 - left)];
  const [nextSignal, nextSpread] = [Math.sqrt(nextLeft), Math.sqrt(1 - nextLeft)];
  return images.map((x, i) => {
    const foreseen = Math.min(1, Math.max(-1, (x - spread * eps[i]!) / signal));
    return nextSignal * foreseen + nextSpread * (x - signal * foreseen) / spread;
  });
}

/** eps(no class) + guidance (eps(class) - eps(no class)), from one batch of both. */
function predictGuided(
  model: Denoiser,
  images: Float32Array,
  timestep: number,
  labels: readonly number[],
): Float32Array {
  const twice = new Float32Array(2 * images.length);
  twice.set(images);
  twice.set(images, images.length);
  const timesteps = new Array<number>(2 * labels.length).fill(timestep);
  const eps = predictNoise(model, twice, timesteps, [
    ...labels,
    ...labels.map(() => DIT.classes),
  ]);
  return images.map((_, i) => {
    const free = eps[images.length + i]!;
    return free + SAMPLING.guidance * (eps[i]! - free);
  });
}
