/** A tiny pipeline as diffusers saves one: two denoisers, a VAE, a text encoder in shards, and what goes along. */

import type { Files } from "./directories.ts";
import { vector } from "./directories.ts";
import { encodeFile, matrix, noise } from "./make_model.ts";

/** The index of the pipeline; `other` replaces or adds entries. */
export function pipelineIndex(other: Record<string, unknown> = {}): string {
  return JSON.stringify({
    _class_name: "TinyPipeline",
    _diffusers_version: "0.42.1",
    boundary_ratio: 0.5,
    feature_extractor: [null, null],
    scheduler: ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    text_encoder: ["transformers", "CLIPTextModel"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    transformer: ["diffusers", "TinyTransformer2DModel"],
    transformer_2: ["diffusers", "TinyTransformer2DModel"],
    vae: ["diffusers", "AutoencoderKL"],
    ...other,
  });
}

/** The files of a denoiser in a folder. */
export function denoiser(folder: string, seed: number): Files {
  return {
    [`${folder}/config.json`]: '{"_class_name": "TinyTransformer2DModel"}\n',
    [`${folder}/diffusion_pytorch_model.safetensors`]: encodeFile([
      matrix("blocks.0.attn.to_q.weight", 16, 64, noise(seed)),
      vector("blocks.0.attn.to_q.bias", 16),
      matrix("blocks.0.ff.weight", 24, 128, noise(seed + 1), "BF16"),
      matrix("blocks.0.adaln.weight", 8, 32, noise(seed + 2)),
    ]),
  };
}

const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

/** All of its files. */
export function pipelineFiles(folder = "pipe"): Files {
  const files: Files = {
    "model_index.json": pipelineIndex(),
    "README.md": "a pipeline\n",
    "flux1.safetensors": encodeFile([matrix("all.weight", 4, 16, noise(90))]),
    "assets/README.md": "pictures\n",
    "assets/lora.safetensors": encodeFile([matrix("lora.weight", 4, 16, noise(91))]),
    ...denoiser("transformer", 10),
    "transformer/notes.txt": "of the transformer\n",
    "transformer/diffusion_pytorch_model.bin": "weights in another format",
    ...denoiser("transformer_2", 20),
    "vae/config.json": '{"_class_name": "AutoencoderKL"}\n',
    "vae/diffusion_pytorch_model.safetensors": encodeFile([
      matrix("decoder.mid.to_q.weight", 16, 32, noise(30)),
    ]),
    "text_encoder/config.json": '{"model_type": "tiny"}\n',
    [`text_encoder/${SHARDS[0]}`]: encodeFile([matrix("layers.0.fc.weight", 8, 32, noise(40))]),
    [`text_encoder/${SHARDS[1]}`]: encodeFile([matrix("layers.1.fc.weight", 8, 32, noise(41))]),
    "text_encoder/model.safetensors.index.json": JSON.stringify({
      metadata: { total_size: 2048 },
      weight_map: { "layers.0.fc.weight": SHARDS[0], "layers.1.fc.weight": SHARDS[1] },
    }),
    "tokenizer/vocab.json": '{"a": 0}\n',
    "scheduler/scheduler_config.json": '{"shift": 3.0}\n',
  };
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]),
  );
}
