/** What a denoiser does with fixed inputs: the noise it predicts, and the digits it draws. */

import type { Denoiser } from "./denoiser.ts";
import { DIT } from "./dimensions.ts";
import { addNoise } from "./noise_schedule.ts";
import { predictNoise } from "./predict_noise.ts";
import { drawNoise } from "../forward/random.ts";
import { readDigits, toGrey, toModel } from "./read_digits.ts";
import { sample } from "./sample.ts";

/** Fixed inputs. */
export interface Inputs {
  /** Timesteps at which noise is predicted, evenly over the schedule; divides 1000. */
  timesteps: number;
  /** Digits noised at each of them, others each time. */
  digits: number;
  /** Digits drawn: 0, 1, .. 9, 0, 1, .. */
  samples: number;
}

/** The inputs that models are judged by. */
export const INPUTS: Inputs = { timesteps: 50, digits: 8, samples: 60 };

const SEEDS = { noise: 1, samples: 2 } as const;

/** What was observed. */
export interface Observation {
  /** Predicted noise: [timesteps * digits, 64]. */
  eps: Float32Array;
  /** Drawn digits as grey levels: [samples, 64], 0 to 16. */
  samples: Uint8Array;
}

/** The digit that drawn image `index` should show. */
export function sampleLabel(index: number): number {
  return index % DIT.classes;
}

/**
 * Observes a share of the inputs; shares laid end to end give the same bits as the whole.
 *
 * @param share Which one, from 0.
 * @param shares How many there are.
 */
export function observe(
  model: Denoiser,
  inputs: Inputs,
  share = 0,
  shares = 1,
): Observation {
  return {
    eps: observeNoise(model, inputs, cut(inputs.timesteps, share, shares)),
    samples: drawDigits(model, inputs, cut(inputs.samples, share, shares)),
  };
}

/** The run of `count` items that a share has: [from, to). */
function cut(count: number, share: number, shares: number): [number, number] {
  return [Math.floor(count * share / shares), Math.floor(count * (share + 1) / shares)];
}

function observeNoise(model: Denoiser, inputs: Inputs, [from, to]: [number, number]): Float32Array {
  const { images, labels } = readDigits();
  const { digits, timesteps } = inputs;
  const size = digits * DIT.pixels;
  const noise = drawNoise(timesteps * size, SEEDS.noise);
  const eps = new Float32Array((to - from) * size);
  const stride = DIT.timesteps / timesteps;
  for (let step = from; step < to; step++) {
    const t = Math.floor(stride / 4) + step * stride;
    const x = toModel(images.subarray(step * size, (step + 1) * size));
    const noised = addNoise(x, noise.subarray(step * size, (step + 1) * size), t);
    const y = labels.subarray(step * digits, (step + 1) * digits);
    const predicted = predictNoise(model, noised, new Array<number>(digits).fill(t), y);
    eps.set(predicted, (step - from) * size);
  }
  return eps;
}

function drawDigits(model: Denoiser, inputs: Inputs, [from, to]: [number, number]): Uint8Array {
  const noise = drawNoise(inputs.samples * DIT.pixels, SEEDS.samples);
  const start = noise.subarray(from * DIT.pixels, to * DIT.pixels);
  const labels = Array.from({ length: to - from }, (_, i) => sampleLabel(from + i));
  return toGrey(sample(model, start, labels));
}
