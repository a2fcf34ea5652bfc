/** What the tensors of a model are called in a GGUF file, and which of them have their rows in another order. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { type ConfigEntries, readHyperparameters } from "./read_hyperparameters.ts";
import { type Architecture, isLanguage, stripPrefix } from "./recognize_architecture.ts";

/** How a tensor is written. */
export interface TensorTarget {
  /** Its name in the file. */
  name: string;
  /**
   * Rows of one attention head, where rows are written in another order: see {@linkcode permutedRow};
   * `undefined` where they stay as they are.
   */
  headRows: number | undefined;
}

/** Names outside the layers of Qwen2, and of Dream, which is built like it. */
const DREAM = new Map([
  ["model.embed_tokens.weight", "token_embd.weight"],
  ["model.norm.weight", "output_norm.weight"],
  ["lm_head.weight", "output.weight"],
]);

/** Names in its layers. */
const DREAM_LAYER = new Map([
  ["input_layernorm", "attn_norm"],
  ["post_attention_layernorm", "ffn_norm"],
  ["self_attn.q_proj", "attn_q"],
  ["self_attn.k_proj", "attn_k"],
  ["self_attn.v_proj", "attn_v"],
  ["self_attn.o_proj", "attn_output"],
  ["mlp.gate_proj", "ffn_gate"],
  ["mlp.up_proj", "ffn_up"],
  ["mlp.down_proj", "ffn_down"],
]);

/** Names outside the layers of LLaDA. */
const LLADA = new Map([
  ["model.transformer.wte.weight", "token_embd.weight"],
  ["model.transformer.ln_f.weight", "output_norm.weight"],
  ["model.transformer.ff_out.weight", "output.weight"],
]);

/** Names in its layers; `ff_proj` is what the activation gates. */
const LLADA_LAYER = new Map([
  ["attn_norm", "attn_norm"],
  ["ff_norm", "ffn_norm"],
  ["q_proj", "attn_q"],
  ["k_proj", "attn_k"],
  ["v_proj", "attn_v"],
  ["attn_out", "attn_output"],
  ["ff_proj", "ffn_gate"],
  ["up_proj", "ffn_up"],
  ["ff_out", "ffn_down"],
]);

const DREAM_BLOCK = /^model\.layers\.(\d{1,4})\.(.+)\.(weight|bias)$/;
const LLADA_BLOCK = /^model\.transformer\.blocks\.(\d{1,4})\.(.+)\.(weight|bias)$/;

/**
 * Names the tensors of a model. Of pictures and videos they stay as they are, without the prefix
 * `model.diffusion_model.`; language models get llama.cpp's.
 *
 * @param config Entries of config.json, which has the width of LLaDA's heads; looked at for LLaDA alone.
 * @returns Targets by the names of the source, in the order given.
 * @throws {BadInputError} A language model has a tensor that llama.cpp has no name for, or LLaDA's
 * config.json is missing or does not give the sizes.
 */
export function nameTensors(
  architecture: Architecture,
  tensorNames: readonly string[],
  config: ConfigEntries | undefined,
): Map<string, TensorTarget> {
  const headRows = architecture === "llada"
    ? readHyperparameters(architecture, config ?? new Map()).headRows
    : undefined;
  return new Map(tensorNames.map((name) => [name, nameTensor(architecture, name, headRows)]));
}

function nameTensor(
  architecture: Architecture,
  name: string,
  headRows: number | undefined,
): TensorTarget {
  if (!isLanguage(architecture)) return { name: stripPrefix(name), headRows: undefined };
  const isDream = architecture === "dream";
  const outside = (isDream ? DREAM : LLADA).get(name);
  if (outside !== undefined) return { name: outside, headRows: undefined };
  const [, layer, part, kind] = (isDream ? DREAM_BLOCK : LLADA_BLOCK).exec(name) ?? [];
  const target = (isDream ? DREAM_LAYER : LLADA_LAYER).get(part ?? "");
  if (target === undefined) {
    throw new BadInputError(
      `Cannot write tensor ${quote(name)} to GGUF: llama.cpp has no such tensor in a ` +
        `${architecture} model: remove it, or choose another format`,
    );
  }
  // LLaDA turns the two halves of a head by the angles of its positions, llama.cpp's llada pairs of
  // neighbours; Dream's are halves in both.
  const isTurned = target === "attn_q" || target === "attn_k";
  return {
    name: `blk.${Number(layer)}.${target}.${kind}`,
    headRows: isTurned ? headRows : undefined,
  };
}
