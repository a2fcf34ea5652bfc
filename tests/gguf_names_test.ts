/** Which model is which GGUF architecture, and what its tensors are called there. */

import assert from "node:assert/strict";
import { nameTensors } from "../lib/format/gguf/name_tensors.ts";
import { permutedRow } from "../lib/format/row_order.ts";
import {
  type Architecture,
  recognizeArchitecture,
} from "../lib/format/gguf/recognize_architecture.ts";
import { type JsonValue, scanJson } from "../lib/safetensors/scan_json.ts";
import { assertBadInput } from "./assert_bad_input.ts";

/** Entries of a config.json. */
function configOf(value: unknown): Map<string, JsonValue> {
  const config = scanJson(JSON.stringify(value));
  assert.ok(config instanceof Map);
  return config;
}

const CONFIGS: [config: Record<string, unknown>, expected: Architecture | undefined][] = [
  [{ _class_name: "FluxTransformer2DModel" }, "flux"],
  [{ _class_name: "Flux2Transformer2DModel" }, "flux"],
  [{ _class_name: "SD3Transformer2DModel" }, "sd3"],
  [{ _class_name: "AuraFlowTransformer2DModel" }, "aura"],
  [{ _class_name: "HiDreamImageTransformer2DModel" }, "hidream"],
  [{ _class_name: "CosmosTransformer3DModel" }, "cosmos"],
  [{ _class_name: "LTXVideoTransformer3DModel" }, "ltxv"],
  [{ _class_name: "HunyuanVideoTransformer3DModel" }, "hyvid"],
  [{ _class_name: "WanTransformer3DModel" }, "wan"],
  [{ _class_name: "Lumina2Transformer2DModel" }, "lumina2"],
  [{ _class_name: "ZImageTransformer2DModel" }, "lumina2"],
  [{ _class_name: "QwenImageTransformer2DModel" }, "qwen_image"],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: 768 }, "sd1"],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: 1024 }, "sd1"],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: 2048 }, "sdxl"],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: [1280, 1280] }, "sdxl"],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: [768, 1280] }, undefined],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: [] }, undefined],
  [{ _class_name: "UNet2DConditionModel", cross_attention_dim: "768" }, undefined],
  [{ _class_name: "UNet2DConditionModel" }, undefined],
  [{ _class_name: "DiTTransformer2DModel" }, undefined],
  [{ _class_name: "PixArtTransformer2DModel" }, undefined],
  [{ _class_name: "constructor" }, undefined],
  [{ model_type: "Dream" }, "dream"],
  [{ architectures: ["DreamModel"] }, "dream"],
  [{ model_type: "llada" }, "llada"],
  [{ architectures: ["LLaDAModelLM"] }, "llada"],
  [{ architectures: ["LLaDAMoEModelLM"], model_type: "llada_moe" }, undefined],
  [{ model_type: "qwen2", mask_token_id: 7 }, undefined],
  [{}, undefined],
];

for (const [config, expected] of CONFIGS) {
  Deno.test(`recognizeArchitecture() says ${expected} when the config is ${JSON.stringify(config)}`, () => {
    assert.equal(recognizeArchitecture(configOf(config), ["a.weight"]), expected);
  });
}

const QWEN2 = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.bias"];

Deno.test("recognizeArchitecture() takes Qwen2's names for Dream only when there is a mask token", () => {
  const config = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
  assert.equal(recognizeArchitecture(configOf({ ...config, mask_token_id: 63 }), QWEN2), "dream");
  assert.equal(
    recognizeArchitecture(configOf({ ...config, mask_token_id: null }), QWEN2),
    undefined,
  );
  assert.equal(recognizeArchitecture(configOf(config), QWEN2), undefined);
  assert.equal(recognizeArchitecture(undefined, QWEN2), undefined);
});

/** Some names of published checkpoints, of those nobody reads as GGUF as well. */
const PUBLISHED: [names: string[], expected: Architecture | undefined][] = [
  [["double_blocks.0.img_attn.proj.weight", "double_blocks.0.img_attn.qkv.weight"], "flux"],
  [["joint_blocks.0.x_block.attn.qkv.weight"], "sd3"],
  [["double_layers.3.modX.1.weight"], "aura"],
  [
    [
      "caption_projection.0.linear.weight",
      "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight",
    ],
    "hidream",
  ],
  [["blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight"], "cosmos"],
  [["double_blocks.0.img_attn_proj.weight", "double_blocks.0.img_attn_qkv.weight"], "hyvid"],
  [["blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight", "head.modulation"], "wan"],
  [
    [
      "adaln_single.emb.timestep_embedder.linear_2.weight",
      "transformer_blocks.27.scale_shift_table",
      "patchify_proj.weight",
    ],
    "ltxv",
  ],
  [["cap_embedder.1.weight", "context_refiner.0.attention.qkv.weight"], "lumina2"],
  [
    [
      "time_text_embed.timestep_embedder.linear_2.weight",
      "transformer_blocks.0.attn.norm_added_q.weight",
      "transformer_blocks.0.img_mlp.net.0.proj.weight",
    ],
    "qwen_image",
  ],
  [
    ["input_blocks.3.0.op.weight", "label_emb.0.0.weight", "output_blocks.2.2.conv.weight"],
    "sdxl",
  ],
  [
    ["input_blocks.3.0.op.weight", "input_blocks.9.0.op.weight", "output_blocks.2.1.conv.weight"],
    "sd1",
  ],
  // PixArt
  [
    [
      "adaln_single.emb.timestep_embedder.linear_2.weight",
      "transformer_blocks.27.scale_shift_table",
      "pos_embed.proj.weight",
    ],
    undefined,
  ],
  // DiT
  [
    ["blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight", "y_embedder.embedding_table.weight"],
    undefined,
  ],
  [[], undefined],
];

for (const [names, expected] of PUBLISHED) {
  Deno.test(`recognizeArchitecture() says ${expected} when a tensor is ${names.at(-1)}`, () => {
    const prefixed = names.map((name) => `model.diffusion_model.${name}`);
    for (const config of [undefined, configOf({})]) {
      assert.equal(recognizeArchitecture(config, names), expected);
      assert.equal(recognizeArchitecture(config, prefixed), expected);
      // One name alone is not enough where there are more.
      if (names.length > 1 && expected !== undefined) {
        assert.equal(recognizeArchitecture(config, names.slice(1)), undefined);
      }
    }
  });
}

Deno.test("nameTensors() keeps the names of pictures and videos, without a checkpoint's prefix", () => {
  const names = ["model.diffusion_model.img_in.weight", "img_in.model.diffusion_model.bias", "x"];
  assert.deepEqual([...nameTensors("flux", names, undefined)], [
    [names[0], { name: "img_in.weight", headRows: undefined }],
    [names[1], { name: names[1], headRows: undefined }],
    ["x", { name: "x", headRows: undefined }],
  ]);
});

const DREAM: [string, string][] = [
  ["model.embed_tokens.weight", "token_embd.weight"],
  ["model.norm.weight", "output_norm.weight"],
  ["lm_head.weight", "output.weight"],
  ["model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"],
  ["model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"],
  ["model.layers.10.self_attn.q_proj.weight", "blk.10.attn_q.weight"],
  ["model.layers.10.self_attn.q_proj.bias", "blk.10.attn_q.bias"],
  ["model.layers.10.self_attn.k_proj.bias", "blk.10.attn_k.bias"],
  ["model.layers.10.self_attn.v_proj.bias", "blk.10.attn_v.bias"],
  ["model.layers.27.self_attn.o_proj.weight", "blk.27.attn_output.weight"],
  ["model.layers.27.mlp.gate_proj.weight", "blk.27.ffn_gate.weight"],
  ["model.layers.27.mlp.up_proj.weight", "blk.27.ffn_up.weight"],
  ["model.layers.27.mlp.down_proj.weight", "blk.27.ffn_down.weight"],
];

Deno.test("nameTensors() gives Dream llama.cpp's names and leaves its rows in their order", () => {
  const names = DREAM.map(([source]) => source);
  assert.deepEqual(
    [...nameTensors("dream", names, undefined)],
    DREAM.map(([source, name]) => [source, { name, headRows: undefined }]),
  );
});

const LLADA_CONFIG = configOf({
  d_model: 64,
  n_layers: 2,
  n_heads: 8,
  n_kv_heads: 2,
  mlp_hidden_size: 128,
  max_sequence_length: 256,
  vocab_size: 96,
  rms_norm_eps: 1e-5,
});

const LLADA: [string, string, number | undefined][] = [
  ["model.transformer.wte.weight", "token_embd.weight", undefined],
  ["model.transformer.ln_f.weight", "output_norm.weight", undefined],
  ["model.transformer.ff_out.weight", "output.weight", undefined],
  ["model.transformer.blocks.0.attn_norm.weight", "blk.0.attn_norm.weight", undefined],
  ["model.transformer.blocks.0.ff_norm.weight", "blk.0.ffn_norm.weight", undefined],
  ["model.transformer.blocks.0.q_proj.weight", "blk.0.attn_q.weight", 8],
  ["model.transformer.blocks.0.q_proj.bias", "blk.0.attn_q.bias", 8],
  ["model.transformer.blocks.31.k_proj.weight", "blk.31.attn_k.weight", 8],
  ["model.transformer.blocks.31.v_proj.weight", "blk.31.attn_v.weight", undefined],
  ["model.transformer.blocks.31.attn_out.weight", "blk.31.attn_output.weight", undefined],
  ["model.transformer.blocks.31.ff_proj.weight", "blk.31.ffn_gate.weight", undefined],
  ["model.transformer.blocks.31.up_proj.weight", "blk.31.ffn_up.weight", undefined],
  ["model.transformer.blocks.31.ff_out.weight", "blk.31.ffn_down.weight", undefined],
];

Deno.test("nameTensors() gives LLaDA llama.cpp's names, and the rows of a head of queries and keys", () => {
  const names = LLADA.map(([source]) => source);
  assert.deepEqual(
    [...nameTensors("llada", names, LLADA_CONFIG)],
    LLADA.map(([source, name, headRows]) => [source, { name, headRows }]),
  );
});

for (
  const [architecture, name] of [
    ["dream", "model.layers.0.self_attn.q_norm.weight"],
    ["dream", "model.layers.00000.mlp.up_proj.weight"],
    ["dream", "model.layers.0.mlp.up_proj.weight_scale"],
    ["dream", "model.transformer.wte.weight"],
    ["llada", "model.transformer.blocks.0.att_proj.weight"],
    ["llada", "model.transformer.wpe.weight"],
    ["llada", "lm_head\n.weight"],
  ] as const
) {
  Deno.test(`nameTensors() refuses ${JSON.stringify(name)} when the model is ${architecture}`, () => {
    assertBadInput(
      () => nameTensors(architecture, [name], LLADA_CONFIG),
      `Cannot write tensor "${name.replace("\n", "\\u{a}")}" to GGUF: llama.cpp has no such tensor`,
    );
  });
}

Deno.test("nameTensors() refuses LLaDA when its config is missing", () => {
  assertBadInput(
    () => nameTensors("llada", [], undefined),
    'Cannot write GGUF from "config.json": "d_model" is missing',
  );
});

Deno.test("permutedRow() moves rows as llama.cpp's converter does", () => {
  // numpy.arange(16).reshape(2, 2, 4).swapaxes(1, 2).reshape(16): the source of each row written.
  const written = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
  assert.deepEqual(written.map((row) => permutedRow(row, 8)), [...written.keys()]);
  assert.deepEqual([0, 1, 2, 3].map((row) => permutedRow(row, 2)), [0, 1, 2, 3]);
});
