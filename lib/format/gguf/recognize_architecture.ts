/**
 * Which of the architectures that GGUF readers know a model is: llama.cpp's for language models, those
 * of ComfyUI-GGUF for pictures and videos; diffusers and stable-diffusion.cpp read the same files.
 */

import { JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";

/** Architectures whose tensors keep their names. */
const IMAGE = [
  "flux",
  "sd1",
  "sdxl",
  "sd3",
  "aura",
  "hidream",
  "cosmos",
  "ltxv",
  "hyvid",
  "wan",
  "lumina2",
  "qwen_image",
] as const;

/** Architectures of llama.cpp that are diffusion models. */
const LANGUAGE = ["dream", "llada"] as const;

/** One of those whose tensors keep their names. */
export type ImageArchitecture = typeof IMAGE[number];

/** One of llama.cpp's. */
export type LanguageArchitecture = typeof LANGUAGE[number];

/** `general.architecture` of a file. */
export type Architecture = ImageArchitecture | LanguageArchitecture;

/** All of them. */
export const ARCHITECTURES: readonly Architecture[] = [...IMAGE, ...LANGUAGE];

/** Whether llama.cpp is the reader. */
export function isLanguage(architecture: Architecture): architecture is LanguageArchitecture {
  return architecture === "dream" || architecture === "llada";
}

/** What trainers put in front of the names of a whole checkpoint's denoiser. */
export const ORIGINAL_PREFIX = "model.diffusion_model.";

/** Architectures by the class that diffusers saves in config.json as `_class_name`. */
const CLASSES = new Map<string, ImageArchitecture>([
  ["FluxTransformer2DModel", "flux"],
  ["Flux2Transformer2DModel", "flux"],
  ["SD3Transformer2DModel", "sd3"],
  ["AuraFlowTransformer2DModel", "aura"],
  ["HiDreamImageTransformer2DModel", "hidream"],
  ["CosmosTransformer3DModel", "cosmos"],
  ["LTXVideoTransformer3DModel", "ltxv"],
  ["HunyuanVideoTransformer3DModel", "hyvid"],
  ["WanTransformer3DModel", "wan"],
  ["Lumina2Transformer2DModel", "lumina2"],
  ["ZImageTransformer2DModel", "lumina2"],
  ["QwenImageTransformer2DModel", "qwen_image"],
]);

/** Width of the text that a UNet attends to: CLIP's, OpenCLIP's, and the two of SDXL's base and refiner. */
const UNETS = new Map<number, ImageArchitecture>([
  [768, "sd1"],
  [1024, "sd1"],
  [1280, "sdxl"],
  [2048, "sdxl"],
]);

/**
 * Names that only one architecture has together, as its authors published it. More than one name where
 * a relative shares the first: PixArt has the blocks of LTX-Video, and every UNet those of SD 1.
 */
const TELLTALES: [ImageArchitecture, string[]][] = [
  ["flux", ["double_blocks.0.img_attn.proj.weight"]],
  ["sd3", ["joint_blocks.0.x_block.attn.qkv.weight"]],
  ["aura", ["double_layers.3.modX.1.weight"]],
  ["hidream", [
    "caption_projection.0.linear.weight",
    "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight",
  ]],
  ["cosmos", ["blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight"]],
  ["hyvid", ["double_blocks.0.img_attn_proj.weight"]],
  ["wan", ["blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight"]],
  ["ltxv", [
    "adaln_single.emb.timestep_embedder.linear_2.weight",
    "transformer_blocks.27.scale_shift_table",
    "patchify_proj.weight",
  ]],
  ["lumina2", ["cap_embedder.1.weight", "context_refiner.0.attention.qkv.weight"]],
  ["qwen_image", [
    "time_text_embed.timestep_embedder.linear_2.weight",
    "transformer_blocks.0.attn.norm_added_q.weight",
    "transformer_blocks.0.img_mlp.net.0.proj.weight",
  ]],
  ["sdxl", ["input_blocks.3.0.op.weight", "label_emb.0.0.weight", "output_blocks.2.2.conv.weight"]],
  ["sd1", [
    "input_blocks.3.0.op.weight",
    "input_blocks.9.0.op.weight",
    "output_blocks.2.1.conv.weight",
  ]],
];

/**
 * Recognizes a model by its config.json, and without a class in it by the names of its tensors.
 *
 * @param config Entries of config.json; `undefined` where there is none.
 * @returns `undefined` for a model that no reader of GGUF knows, such as DiT, PixArt or an
 * autoregressive language model.
 */
export function recognizeArchitecture(
  config: ReadonlyMap<string, JsonValue> | undefined,
  tensorNames: readonly string[],
): Architecture | undefined {
  const language = config && recognizeLanguage(config, tensorNames);
  if (language !== undefined) return language;
  const className = config?.get("_class_name");
  if (className === "UNet2DConditionModel") return UNETS.get(readWidth(config));
  if (typeof className === "string") return CLASSES.get(className);
  const names = new Set(tensorNames.map(stripPrefix));
  return TELLTALES.find(([, wanted]) => wanted.every((name) => names.has(name)))?.[0];
}

/** A tensor's name without {@linkcode ORIGINAL_PREFIX}. */
export function stripPrefix(name: string): string {
  return name.startsWith(ORIGINAL_PREFIX) ? name.slice(ORIGINAL_PREFIX.length) : name;
}

function recognizeLanguage(
  config: ReadonlyMap<string, JsonValue>,
  tensorNames: readonly string[],
): LanguageArchitecture | undefined {
  const type = config.get("model_type");
  const architectures = config.get("architectures");
  const isClass = (name: string) => Array.isArray(architectures) && architectures.includes(name);
  if (type === "Dream" || isClass("DreamModel")) return "dream";
  if (type === "llada" || isClass("LLaDAModelLM")) return "llada";
  // Weights of a diffusion model in the shape of Qwen2: they say so by a mask token.
  const hasMask = config.get("mask_token_id") instanceof JsonNumber;
  return hasMask && tensorNames.includes("model.layers.0.self_attn.q_proj.bias")
    ? "dream"
    : undefined;
}

/** `cross_attention_dim`: a number, or a list of equal ones; NaN for anything else. */
function readWidth(config: ReadonlyMap<string, JsonValue> | undefined): number {
  const value = config?.get("cross_attention_dim");
  const widths = (Array.isArray(value) ? value : [value]).map((one) =>
    one instanceof JsonNumber ? Number(one.text) : NaN
  );
  return widths.every((width) => width === widths[0]) ? widths[0] ?? NaN : NaN;
}
