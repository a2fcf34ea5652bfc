/** What a layer is for, by the names of real model families. */

import assert from "node:assert/strict";
import { classifyLayer, type LayerKind } from "../lib/plan/classify_layer.ts";
import { cpuSeconds } from "./cpu_seconds.ts";

/** Fewer rows than columns, so that a gate is a router. */
const SHAPE = [64, 2048] as const;

// Model family, kind of layer (undefined: quantized), module names.
const FAMILIES: [string, LayerKind | undefined, string][] = [
  ["DiT", "embedding", "x_embedder.proj t_embedder.mlp.0 t_embedder.mlp.2 pos_embed"],
  ["DiT", "embedding", "y_embedder.embedding_table"],
  ["DiT", "modulation", "blocks.0.adaLN_modulation.1 final_layer.adaLN_modulation.1"],
  ["DiT", "final layer", "final_layer.linear"],
  ["DiT", undefined, "blocks.0.attn.qkv blocks.27.attn.proj blocks.0.mlp.fc1 blocks.0.mlp.fc2"],
  ["Flux", "embedding", "x_embedder context_embedder time_text_embed.timestep_embedder.linear_1"],
  [
    "Flux, original names",
    "embedding",
    "img_in txt_in time_in.in_layer vector_in.out_layer guidance_in.in_layer",
  ],
  ["Wan, original names", "modulation", "time_projection.1"],
  ["Wan, original names", "final layer", "head.head"],
  [
    "Wan, original names",
    "embedding",
    "time_embedding.0 text_embedding.2 img_emb.proj.1 patch_embedding",
  ],
  ["Flux", "embedding", "time_text_embed.guidance_embedder.linear_2"],
  ["Flux", "embedding", "time_text_embed.text_embedder.linear_1"],
  [
    "Flux",
    "modulation",
    "transformer_blocks.0.norm1.linear transformer_blocks.0.norm1_context.linear",
  ],
  ["Flux", "modulation", "single_transformer_blocks.0.norm.linear norm_out.linear"],
  ["Flux", "norm", "transformer_blocks.0.attn.norm_q transformer_blocks.0.attn.norm_added_k"],
  ["Flux", "final layer", "proj_out"],
  ["Flux", undefined, "transformer_blocks.0.attn.to_q transformer_blocks.0.attn.to_out.0"],
  ["Flux", undefined, "transformer_blocks.0.attn.add_k_proj transformer_blocks.0.attn.to_add_out"],
  ["Flux", undefined, "transformer_blocks.0.ff.net.0.proj transformer_blocks.0.ff_context.net.2"],
  ["Flux", undefined, "single_transformer_blocks.0.proj_mlp single_transformer_blocks.0.proj_out"],
  ["Flux 2", "modulation", "double_stream_modulation_img.linear single_stream_modulation.linear"],
  ["Qwen-Image", "modulation", "transformer_blocks.0.img_mod.1 transformer_blocks.0.txt_mod.1"],
  ["Qwen-Image", undefined, "transformer_blocks.0.img_mlp.net.0.proj"],
  ["SD3", "embedding", "pos_embed.proj context_embedder time_text_embed.text_embedder.linear_2"],
  ["SD3", "modulation", "transformer_blocks.23.norm1_context.linear norm_out.linear"],
  ["SD3", undefined, "transformer_blocks.0.attn.add_q_proj transformer_blocks.0.attn2.to_k"],
  ["PixArt", "embedding", "pos_embed.proj caption_projection.linear_1 caption_projection.linear_2"],
  ["PixArt", "embedding", "adaln_single.emb.timestep_embedder.linear_1"],
  ["PixArt", "modulation", "adaln_single.linear"],
  ["PixArt", "final layer", "proj_out"],
  ["PixArt", undefined, "transformer_blocks.0.attn1.to_q transformer_blocks.0.ff.net.2"],
  ["Dream", "embedding", "model.embed_tokens"],
  ["Dream", "output head", "lm_head"],
  ["Dream", "norm", "model.layers.0.input_layernorm model.layers.0.post_attention_layernorm"],
  ["Dream", "norm", "model.norm model.layers.0.self_attn.q_norm"],
  ["Dream", undefined, "model.layers.0.self_attn.q_proj model.layers.0.self_attn.o_proj"],
  ["Dream", undefined, "model.layers.0.mlp.gate_proj model.layers.27.mlp.down_proj"],
  ["LLaDA", "embedding", "model.transformer.wte"],
  ["LLaDA", "output head", "model.transformer.ff_out"],
  ["LLaDA", "norm", "model.transformer.ln_f model.transformer.blocks.0.attn_norm"],
  ["LLaDA", "norm", "model.transformer.blocks.0.ff_norm"],
  ["LLaDA", undefined, "model.transformer.blocks.0.ff_out model.transformer.blocks.0.ff_proj"],
  ["LLaDA", undefined, "model.transformer.blocks.0.attn_out model.transformer.blocks.0.q_proj"],
  ["LLaDA", undefined, "model.transformer.blocks.0.up_proj"],
  ["MiniLM", "embedding", "embeddings.word_embeddings embeddings.position_embeddings"],
  ["MiniLM", "embedding", "embeddings.token_type_embeddings embeddings.LayerNorm"],
  ["MiniLM", "norm", "encoder.layer.0.output.LayerNorm encoder.layer.0.attention.output.LayerNorm"],
  ["MiniLM", undefined, "encoder.layer.0.attention.self.query encoder.layer.0.output.dense"],
  ["MiniLM", undefined, "encoder.layer.0.intermediate.dense pooler.dense"],
  ["GPT-2", "embedding", "wte wpe transformer.wte"],
  ["GPT-2", "norm", "ln_f h.0.ln_1 h.0.ln_2"],
  ["GPT-2", undefined, "h.0.attn.c_attn h.0.mlp.c_proj"],
  ["T5", "embedding", "shared"],
  ["T5", "norm", "encoder.block.0.layer.0.layer_norm encoder.final_layer_norm"],
  ["T5", undefined, "encoder.block.0.layer.0.SelfAttention.q"],
  ["T5", "embedding", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"],
  ["DiT of diffusers", "embedding", "blocks.0.norm1.emb.timestep_embedder.linear_1"],
  ["DiT of diffusers", "modulation", "transformer_blocks.0.norm1.linear"],
  ["DiT of diffusers", "final layer", "proj_out_1 proj_out_2"],
  ["CogVideoX", "norm", "transformer_blocks.0.norm1.norm transformer_blocks.0.norm2.norm"],
  ["Cosmos", "modulation", "transformer_blocks.0.norm3.linear_2 norm_out.linear_1"],
  ["Lumina 2", "final layer", "norm_out.linear_2"],
  ["HunyuanVideo, original names", "modulation", "double_blocks.0.img_mod.linear"],
  ["HunyuanVideo, original names", "embedding", "txt_in.individual_token_refiner.blocks.0.mlp.fc1"],
  ["HunyuanVideo 1.5, original names", "embedding", "byt5_in.fc1 vision_in.proj.1"],
  ["Mochi, original names", "modulation", "blocks.0.mod_x blocks.0.mod_y final_layer.mod"],
  ["AuraFlow, original names", "embedding", "init_x_linear cond_seq_linear t_embedder.mlp.0"],
  [
    "AuraFlow, original names",
    "modulation",
    "double_layers.0.modC.1 double_layers.0.modX.1 single_layers.0.modCX.1 modF.1",
  ],
  ["AuraFlow, original names", "final layer", "final_linear"],
  ["LTX, original names", "embedding", "patchify_proj audio_patchify_proj"],
  ["LTX, original names", "modulation", "adaln_single.linear av_ca_a2v_gate_adaln_single.linear"],
  [
    "LTX-2",
    "modulation",
    "audio_time_embed.linear av_cross_attn_audio_scale_shift.linear av_cross_attn_audio_v2a_gate.linear",
  ],
  [
    "LTX-2",
    "embedding",
    "audio_proj_in av_cross_attn_audio_v2a_gate.emb.timestep_embedder.linear_1",
  ],
  ["LTX-2", "final layer", "audio_proj_out"],
  ["Wan VACE", undefined, "vace_blocks.0.proj_in vace_blocks.0.proj_out"],
  ["Krea 2", "modulation", "time_mod_proj"],
  ["Kandinsky 3", "modulation", "up_blocks.0.attentions.0.in_norm.context_mlp.1"],
  [
    "Kandinsky 3",
    "embedding",
    "encoder_hid_proj.projection_linear add_time_condition.attention.to_q",
  ],
  ["Stable Audio", "embedding", "proj_in timestep_proj.0 global_proj.2 cross_attention_proj.0"],
  ["ERNIE-Image", "embedding", "text_proj"],
  ["ERNIE-Image", "modulation", "adaLN_modulation.1 final_norm.linear"],
  ["GLM-Image", "embedding", "image_projector.proj glyph_projector.net.2"],
  ["MDLM", "embedding", "backbone.sigma_map.mlp.0"],
  ["MDLM", "output head", "backbone.output_layer.linear"],
  ["a small language model", "output head", "output_head"],
  ["MDLM", "modulation", "backbone.output_layer.adaLN_modulation"],
  ["CLIP", "embedding", "text_projection visual_projection"],
  ["UNet", "embedding", "add_embedding.linear_1 down_blocks.0.resnets.0.time_emb_proj"],
  ["UNet", undefined, "down_blocks.0.attentions.0.proj_in mid_block.attentions.0.proj_out"],
  [
    "UNet in a checkpoint",
    "embedding",
    "model.diffusion_model.time_embed.0 model.diffusion_model.label_emb.0.0",
  ],
  [
    "UNet in a checkpoint",
    "embedding",
    "model.diffusion_model.input_blocks.1.0.emb_layers.1",
  ],
  ["UNet in a checkpoint", undefined, "model.diffusion_model.input_blocks.4.1.proj_in"],
  ["LTX in a checkpoint", "final layer", "model.diffusion_model.proj_out diffusion_model.proj_out"],
  [
    "CLIP in a checkpoint",
    undefined,
    "conditioner.embedders.0.transformer.text_model.encoder.layers.0.self_attn.q_proj",
  ],
  ["OmniGen", "embedding", "time_token.linear_1 patch_embedding.output_image_proj"],
  ["Ideogram 4", "embedding", "input_proj llm_cond_proj t_embedding.mlp_in"],
  ["EasyAnimate", "embedding", "text_proj.1 text_proj_t5.1"],
  ["aMUSEd", "embedding", "encoder_proj embed.embeddings"],
  ["unCLIP's prior", "embedding", "encoder_hidden_states_proj embedding_proj"],
  ["Nucleus", undefined, "transformer_blocks.0.encoder_proj"],
  ["mixture of experts", "router", "model.layers.0.mlp.gate layers.0.block_sparse_moe.gate"],
  [
    "mixture of experts",
    "router",
    "blocks.0.ff_i.gate layers.0.mlp.router encoder.router.classifier",
  ],
  ["mixture of experts", "router", "model.layers.0.mlp.shared_expert_gate"],
  [
    "mixture of experts",
    undefined,
    "model.layers.0.mlp.experts.0.gate_proj layers.0.mlp.gate_up_proj blocks.0.attn.to_gate gate.fc",
  ],
  [
    "none",
    undefined,
    "normal enormous.fc abnormal model.lnx shared_expert.up_proj shared.up_proj wtex remod.1",
  ],
];

for (const [family, kind, names] of FAMILIES) {
  Deno.test(`classifyLayer() says ${kind} when ${family} names ${names.split(" ")[0]}`, () => {
    for (const name of names.split(" ")) assert.equal(classifyLayer(name, SHAPE), kind, name);
  });
}

Deno.test("classifyLayer() takes a gate for a router when its rows are fewer than its columns", () => {
  const name = "transformer_blocks.0.ff.gate";
  assert.equal(classifyLayer(name, [2047, 2048]), "router");
  assert.equal(classifyLayer(name, [2048, 2048]), undefined);
  assert.equal(classifyLayer(name, [16384, 6144]), undefined);
});

Deno.test("classifyLayer() takes no time when a name is long and repeats itself", () => {
  const parts =
    "norm_ _ embed_in1 emb embedding_ modulation ln_1 1 norm1 . a_proj_in proj_out_1 a_ a " +
    "router. router time_projection.1 time_embed.linear _projector mod_ ada_ln final_layer_ gate. " +
    "diffusion_model. conditioner.embedders.1";
  for (const part of parts.split(" ")) {
    for (const start of ["", "a.", "conditioner.embedders."]) {
      const name = `${start}${part.repeat(300_000 / part.length)}-`;
      const seconds = cpuSeconds(() => classifyLayer(name, SHAPE));
      assert.ok(seconds < 0.5, `${start}${part}: ${seconds} s`);
    }
  }
});
