/** The memory a denoiser works in, taken once: what it computes for the images of one batch. */

import { type Attention, planAttention } from "./attend.ts";
import { DIT } from "./dimensions.ts";
import { allocateRows } from "../forward/linear.ts";
import type { Multiplier } from "../forward/multiplier.ts";

/** Most images run at a time: their activations, 1.5 MB, stay in the processor's caches. */
export const MAX_IMAGES = 16;

/** Arrays in a multiplier's memory, each for the largest batch. */
export interface Workspace {
  /** [images * 16, 4]. */
  patches: Float32Array;
  /** [images * 16, 8], of which the layer's padding is half. */
  patchNoise: Float32Array;
  /** [images * 16, 128]. */
  tokens: Float32Array;
  /** Normalized and modulated: [images * 16, 128]. */
  modulated: Float32Array;
  /** Arrays of the attention. */
  attention: Attention;
  /** What attention or the MLP adds to the tokens: [images * 16, 128]. */
  branch: Float32Array;
  /** Between the layers of the MLP: [images * 16, 512]. */
  mlp: Float32Array;
  /** Distinct conditions, at most one for each image: [images, 128]. */
  conditions: Float32Array;
  /** Of the timesteps, before the second layer of their embedding: [images, 128]. */
  timeFeatures: Float32Array;
  /** What a block makes of the conditions: [images, 6 * 128]. */
  modulation: Float32Array;
}

/** Takes the memory. */
export function createWorkspace(multiplier: Multiplier): Workspace {
  const { tokens, hidden, mlp, patch } = DIT;
  const ofTokens = (width: number) => allocateRows(multiplier, MAX_IMAGES * tokens, width);
  const ofImages = (width: number) => allocateRows(multiplier, MAX_IMAGES, width);
  return {
    patches: ofTokens(patch ** 2),
    patchNoise: ofTokens(2 * patch ** 2),
    tokens: ofTokens(hidden),
    modulated: ofTokens(hidden),
    attention: planAttention(multiplier, MAX_IMAGES),
    branch: ofTokens(hidden),
    mlp: ofTokens(mlp),
    conditions: ofImages(hidden),
    timeFeatures: ofImages(hidden),
    modulation: ofImages(6 * hidden),
  };
}
