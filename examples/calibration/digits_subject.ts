/** The digits DiT on noised digits. */

import { createDenoiser } from "../digits-dit-denoiser/denoiser.ts";
import { DIT } from "../digits-dit-denoiser/dimensions.ts";
import { addNoise } from "../digits-dit-denoiser/noise_schedule.ts";
import { INPUTS } from "../digits-dit-denoiser/observe.ts";
import { predictNoise } from "../digits-dit-denoiser/predict_noise.ts";
import { readDigits, toModel } from "../digits-dit-denoiser/read_digits.ts";
import { MAX_IMAGES } from "../digits-dit-denoiser/workspace.ts";
import type { Weights } from "../forward/load_weights.ts";
import { drawNoise } from "../forward/random.ts";
import type { Subject } from "./subject.ts";

/** What the digits DiT is run on. */
export interface DigitsSource {
  kind: "digits";
  /** Digits noised at each timestep, others each time. */
  images: number;
  /** [T], whole numbers from 0 to 999. */
  timesteps: readonly number[];
}

/** Digits that the judge asks about; they are passed by, so that it judges what was not calibrated on. */
const JUDGED = INPUTS.timesteps * INPUTS.digits;

/** Other noise than the judge's, of seeds 1 and 2; each timestep's is this plus its index. */
const FIRST_SEED = 1000;

/** Makes the model ready; its attention and MLP layers are recorded. */
export function createDigitsSubject(source: DigitsSource, weights: Weights): Subject {
  const model = createDenoiser(weights);
  const digits = readDigits();
  const others = digits.labels.length - JUDGED;
  const { images, timesteps } = source;
  const layers = model.blocks.flatMap(({ qkv, proj, fc1, fc2 }, i) =>
    Object.entries({
      [`blocks.${i}.attn.qkv`]: qkv,
      [`blocks.${i}.attn.proj`]: proj,
      [`blocks.${i}.mlp.fc1`]: fc1,
      [`blocks.${i}.mlp.fc2`]: fc2,
    })
  );
  return {
    layers: new Map(layers),
    maxRows: Math.min(images, MAX_IMAGES) * DIT.tokens,
    run(step) {
      const chosen = Array.from(
        { length: images },
        (_, i) => JUDGED + (step * images + i) % others,
      );
      const grey = new Uint8Array(images * DIT.pixels);
      for (const [i, digit] of chosen.entries()) {
        const from = digit * DIT.pixels;
        grey.set(digits.images.subarray(from, from + DIT.pixels), i * DIT.pixels);
      }
      const noise = drawNoise(grey.length, FIRST_SEED + step);
      const timestep = timesteps[step]!;
      predictNoise(
        model,
        addNoise(toModel(grey), noise, timestep),
        new Array<number>(images).fill(timestep),
        chosen.map((digit) => digits.labels[digit]!),
      );
    },
  };
}
