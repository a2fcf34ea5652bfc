/** The digits DiT (Peebles & Xie 2023, arXiv:2212.09748), its weights laid out to be run. */

import { BadInputError } from "../../lib/base/errors.ts";
import { DIT } from "./dimensions.ts";
import { type Linear, packLinear } from "../forward/linear.ts";
import type { Weights } from "../forward/load_weights.ts";
import type { Multiplier } from "../forward/multiplier.ts";
import { createSimdMultiplier } from "../forward/multiply_simd.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

/** A transformer block. */
export interface Block {
  /** Condition to shift, scale and gate of attention, then of the MLP: [128] to [6 * 128]. */
  modulation: Linear;
  /** Queries, keys and values: [128] to [3 * 128]. */
  qkv: Linear;
  /** [128] to [128]. */
  proj: Linear;
  /** [128] to [512]. */
  fc1: Linear;
  /** [512] to [128]. */
  fc2: Linear;
}

/** A model ready to run, one batch at a time. */
export interface Denoiser {
  /** A patch's pixels to a token: [4] to [128]. */
  patchEmbedder: Linear;
  /** [16, 128]. */
  positions: Float32Array;
  /** The two layers of the timestep's embedding: [128] to [128] each. */
  timeEmbedder: [Linear, Linear];
  /** A row for each class and one for "no class": [11, 128]. */
  labels: Float32Array;
  /** In order. */
  blocks: Block[];
  /** Condition to shift and scale: [128] to [2 * 128]. */
  finalModulation: Linear;
  /** A token to a patch's pixels: [128] to [4]. */
  finalLinear: Linear;
  /** What one batch is computed in. */
  workspace: Workspace;
  /** Is told the timestep of the images that layers are applied to next. */
  onTimestep?: (timestep: number) => void;
}

/**
 * Lays the weights out.
 *
 * @param weights By the names of facebookresearch/DiT.
 * @param multiplier What computes the products, in whose memory the model will lie.
 * @throws {BadInputError} A tensor is missing, or is not of the digits DiT's size.
 */
export function createDenoiser(
  weights: Weights,
  multiplier: Multiplier = createSimdMultiplier(),
): Denoiser {
  const { hidden, mlp, patch } = DIT;
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot run the digits DiT: ${what}`);
  };
  const tensor = (name: string, size: number): Float32Array => {
    const values = weights.get(name) ?? fail(`no tensor "${name}"`);
    if (values.length === size) return values;
    return fail(`tensor "${name}" has ${values.length} elements, expected ${size}`);
  };
  const linear = (name: string, inputs: number, outputs: number): Linear => {
    const weight = tensor(`${name}.weight`, outputs * inputs);
    return packLinear(multiplier, weight, tensor(`${name}.bias`, outputs));
  };
  return {
    patchEmbedder: linear("x_embedder", patch ** 2, hidden),
    positions: tensor("pos_embed", DIT.tokens * hidden),
    timeEmbedder: [
      linear("t_embedder.mlp.0", hidden, hidden),
      linear("t_embedder.mlp.2", hidden, hidden),
    ],
    labels: tensor("y_embedder.weight", (DIT.classes + 1) * hidden),
    blocks: Array.from({ length: DIT.depth }, (_, i) => ({
      modulation: linear(`blocks.${i}.adaLN_modulation.1`, hidden, 6 * hidden),
      qkv: linear(`blocks.${i}.attn.qkv`, hidden, 3 * hidden),
      proj: linear(`blocks.${i}.attn.proj`, hidden, hidden),
      fc1: linear(`blocks.${i}.mlp.fc1`, hidden, mlp),
      fc2: linear(`blocks.${i}.mlp.fc2`, mlp, hidden),
    })),
    finalModulation: linear("final_layer.adaLN_modulation.1", hidden, 2 * hidden),
    finalLinear: linear("final_layer.linear", hidden, patch ** 2),
    workspace: createWorkspace(multiplier),
  };
}
