/** A model to measure with: the shapes of a small language model, 855 MB of BF16 noise. */

import { join } from "node:path";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import { encodeHeader } from "../lib/safetensors/encode_header.ts";
import { createFile, openSink, syncFile } from "../lib/safetensors/write.ts";
import { noise } from "../tests/make_model.ts";

const HIDDEN = 2048;
const WIDE = 5632;
const LAYERS = 8;
const VOCABULARY = 8000;

/** Weights made once and repeated from a different place for each tensor. */
const POOL = 2 ** 21;

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
  const header = encodeHeader(tensors, new Map([["format", "pt"]]));
  const sample = noise(1);
  // Roughly normal, as trained weights are: the sum of three uniform values.
  const values = Float32Array.from(
    { length: POOL },
    (_, i) => 0.02 * (sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2)),
  );
  const pool = encodeFloats(values, "BF16");
  const path = join(directory, "model.safetensors");
  await createFile(path, "model.safetensors", header.byteLength, header.bytes);
  const sink = openSink(path, "model.safetensors");
  for (const [index, { name, byteLength }] of tensors.entries()) {
    const begin = header.begins.get(name)!;
    for (let done = 0, from = index * 4096; done < byteLength; from = 0) {
      const part = pool.subarray(from, Math.min(pool.length, from + byteLength - done));
      sink.write(begin + done, part);
      done += part.length;
    }
  }
  sink.close();
  await syncFile(path, "model.safetensors", "all");
  return header.byteLength;
}
