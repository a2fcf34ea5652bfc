/** The forward pass of the digits DiT (Peebles & Xie 2023, arXiv:2212.09748). */

import { attend } from "./attend.ts";
import type { Block, Denoiser } from "./denoiser.ts";
import { DIT } from "./dimensions.ts";
import { type Conditions, embedConditions } from "./embed_conditions.ts";
import { embedImages, joinPatches } from "./embed_images.ts";
import { applyLinear } from "../forward/linear.ts";
import { addGated, modulate, planModulation } from "./modulate.ts";
import { MAX_IMAGES, type Workspace } from "./workspace.ts";

/**
 * Predicts the noise in images. Images do not depend on each other: a batch gives the same bits as
 * its parts do.
 *
 * @param images x_t: [images, 64].
 * @param timesteps t: [images], 0 to 999.
 * @param labels y: [images], 0 to 9, or 10 for "no class".
 * @returns eps: [images, 64].
 */
export function predictNoise(
  model: Denoiser,
  images: Float32Array,
  timesteps: ArrayLike<number>,
  labels: ArrayLike<number>,
): Float32Array {
  const { pixels } = DIT;
  const [steps, classes] = [Array.from(timesteps), Array.from(labels)];
  const out = new Float32Array(images.length);
  for (let from = 0, to = 0; from < steps.length; from = to) {
    // A batch is of one timestep, by which inputs of layers may be quantized.
    while (to < steps.length && to < from + MAX_IMAGES && steps[to] === steps[from]) to++;
    model.onTimestep?.(steps[from]!);
    const conditions = embedConditions(model, steps.slice(from, to), classes.slice(from, to));
    embedImages(model, images.subarray(from * pixels, to * pixels));
    predictOne(model, conditions, out.subarray(from * pixels, to * pixels));
  }
  return out;
}

/** Runs the batch whose tokens lie in the workspace. */
function predictOne(model: Denoiser, conditions: Conditions, out: Float32Array): void {
  const { workspace, finalLinear } = model;
  const { tokens, modulated, patchNoise } = workspace;
  for (const block of model.blocks) runBlock(block, conditions, workspace);
  const modulation = planModulation(model.finalModulation, conditions, workspace.modulation);
  modulate(tokens, modulation, 0, modulated);
  applyLinear(finalLinear, modulated, patchNoise, out.length / DIT.patch ** 2);
  joinPatches(patchNoise, finalLinear.outputs, out);
}

/** Attention, then the MLP, each added to the tokens through its gate. */
function runBlock(block: Block, conditions: Conditions, workspace: Workspace): void {
  const { tokens, modulated, attention, branch, mlp } = workspace;
  const images = conditions.rows.length;
  const rows = images * DIT.tokens;
  const modulation = planModulation(block.modulation, conditions, workspace.modulation);
  modulate(tokens, modulation, 0, modulated);
  applyLinear(block.qkv, modulated, attention.qkv, rows);
  attend(attention, images);
  applyLinear(block.proj, attention.out, branch, rows);
  addGated(tokens, modulation, 2, branch);
  modulate(tokens, modulation, 3, modulated);
  applyLinear(block.fc1, modulated, mlp, rows);
  block.fc1.multiplier.gelu(mlp.subarray(0, rows * DIT.mlp));
  applyLinear(block.fc2, mlp, branch, rows);
  addGated(tokens, modulation, 5, branch);
}
