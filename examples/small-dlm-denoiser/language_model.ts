/** The small masked diffusion language model (LLaDA, Nie et al. 2025, arXiv:2502.09992), laid out to be run. */

import { BadInputError } from "../../lib/base/errors.ts";
import { type Linear, packLinear } from "../forward/linear.ts";
import type { Weights } from "../forward/load_weights.ts";
import type { Multiplier } from "../forward/multiplier.ts";
import { createSimdMultiplier } from "../forward/multiply_simd.ts";
import { DLM } from "./dimensions.ts";
import { createWorkspace, type Workspace } from "./workspace.ts";

/** A transformer layer, as in Qwen2 and Dream. */
export interface Layer {
  /** Scales of the normalization before attention: [256]. */
  attentionNorm: Float32Array;
  /** [256] to [256]. */
  queries: Linear;
  /** Keys, then values: [256] to [2 * 128]. */
  keysValues: Linear;
  /** [256] to [256]. */
  out: Linear;
  /** Scales of the normalization before the MLP: [256]. */
  mlpNorm: Float32Array;
  /** [256] to [640]. */
  gate: Linear;
  /** [256] to [640]. */
  up: Linear;
  /** [640] to [256]. */
  down: Linear;
}

/** A model ready to run, one sequence at a time. */
export interface LanguageModel {
  /** A row for each token: [1024, 256]. */
  embeddings: Float32Array;
  /** In order. */
  layers: Layer[];
  /** Scales of the last normalization: [256]. */
  norm: Float32Array;
  /** [256] to [1024]. */
  head: Linear;
  /** What one sequence is computed in. */
  workspace: Workspace;
  /** Is told the share of masked tokens in the sequence that layers are applied to next. */
  onLevel?: (level: number) => void;
}

/**
 * Lays the weights out.
 *
 * @param weights By the names of Dream-7B and Qwen2.
 * @param multiplier What computes the products, in whose memory the model will lie.
 * @throws {BadInputError} A tensor is missing, or is not of the small model's size.
 */
export function createLanguageModel(
  weights: Weights,
  multiplier: Multiplier = createSimdMultiplier(),
): LanguageModel {
  const { hidden, mlp, vocabulary, keyHeads, headSize } = DLM;
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot run the small language model: ${what}`);
  };
  const tensor = (name: string, size: number): Float32Array => {
    const values = weights.get(name) ?? fail(`no tensor "${name}"`);
    if (values.length === size) return values;
    return fail(`tensor "${name}" has ${values.length} elements, expected ${size}`);
  };
  const plain = (name: string, inputs: number, outputs: number): Linear =>
    packLinear(multiplier, tensor(`${name}.weight`, outputs * inputs), new Float32Array(outputs));
  // Layers with the same inputs, one below the other.
  const biased = (names: string[], outputs: number): Linear =>
    packLinear(
      multiplier,
      join(names.map((name) => tensor(`${name}.weight`, outputs * hidden))),
      join(names.map((name) => tensor(`${name}.bias`, outputs))),
    );
  const norm = (name: string): Float32Array => tensor(`${name}.weight`, hidden);
  return {
    embeddings: tensor("model.embed_tokens.weight", vocabulary * hidden),
    layers: Array.from({ length: DLM.depth }, (_, i) => {
      const layer = `model.layers.${i}`;
      const attention = `${layer}.self_attn`;
      return {
        attentionNorm: norm(`${layer}.input_layernorm`),
        queries: biased([`${attention}.q_proj`], hidden),
        keysValues: biased([`${attention}.k_proj`, `${attention}.v_proj`], keyHeads * headSize),
        out: plain(`${attention}.o_proj`, hidden, hidden),
        mlpNorm: norm(`${layer}.post_attention_layernorm`),
        gate: plain(`${layer}.mlp.gate_proj`, hidden, mlp),
        up: plain(`${layer}.mlp.up_proj`, hidden, mlp),
        down: plain(`${layer}.mlp.down_proj`, mlp, hidden),
      };
    }),
    norm: norm("model.norm"),
    head: plain("lm_head", hidden, vocabulary),
    workspace: createWorkspace(multiplier),
  };
}

function join(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
