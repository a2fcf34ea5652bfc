/** A model to measure with: the shapes of a small language model, 855 MB of BF16 noise. */

import { join } from "node:path";
import { syncFile } from "../lib/safetensors/write.ts";
import { writeWeights } from "./make_layers.ts";

const HIDDEN = 2048;
const WIDE = 5632;
const LAYERS = 8;
const VOCABULARY = 8000;

/** What GGUF has to know of a model: one of Dream's, so that it can be written in every format. */
const CONFIG = {
  model_type: "Dream",
  hidden_size: HIDDEN,
  intermediate_size: WIDE,
  num_hidden_layers: LAYERS,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  vocab_size: VOCABULARY,
  mask_token_id: VOCABULARY - 1,
  hidden_act: "silu",
};

/** Writes `model.safetensors` and `config.json` into a directory that exists; returns its size in bytes. */
export async function makeBenchModel(directory: string): Promise<number> {
  const matrices: Record<string, [number, number]> = {
    "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
  };
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const name of ["q_proj", "k_proj", "v_proj", "o_proj"]) {
      matrices[`model.layers.${layer}.self_attn.${name}.weight`] = [HIDDEN, HIDDEN];
    }
    for (const name of ["gate_proj", "up_proj"]) {
      matrices[`model.layers.${layer}.mlp.${name}.weight`] = [WIDE, HIDDEN];
    }
    matrices[`model.layers.${layer}.mlp.down_proj.weight`] = [HIDDEN, WIDE];
  }
  Deno.writeTextFileSync(join(directory, "config.json"), `${JSON.stringify(CONFIG, null, 2)}\n`);
  const tensors = Object.entries(matrices).map(([name, shape]) => ({
    name,
    dtype: "BF16",
    shape,
    byteLength: shape[0] * shape[1] * 2,
  }));
  const bytes = await writeWeights(directory, "BF16", tensors);
  await syncFile(join(directory, "model.safetensors"), "model.safetensors", "all");
  return bytes;
}
