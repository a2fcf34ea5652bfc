"""
Lists the tensors of real architectures, names and shapes, and writes them beside this file. What a
file expects of them (its keys "expected" and "shares") is written by hand and kept. Needs torch 2.15.0,
diffusers 0.42.1 and transformers 5.24.0; nothing is downloaded, no weight exists: every class is
built on the meta device with the configuration that the published model has.

    python tests/architectures/list_tensors.py && deno fmt tests/architectures
"""

import itertools
import json
import pathlib

import diffusers
import torch
import transformers

HERE = pathlib.Path(__file__).parent


def unet(**config):
    return diffusers.UNet2DConditionModel(sample_size=64, **config)


def t5_encoder():
    return transformers.T5EncoderModel(transformers.T5Config(
        d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64, vocab_size=32128,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False))


# Published model, how it is built.
BUILT = {
    "flux-dev": lambda: diffusers.FluxTransformer2DModel(guidance_embeds=True),
    "flux2-dev": lambda: diffusers.Flux2Transformer2DModel(),
    "sd3-medium": lambda: diffusers.SD3Transformer2DModel(
        num_layers=24, num_attention_heads=24, caption_projection_dim=1536, pos_embed_max_size=192),
    "sd3.5-large": lambda: diffusers.SD3Transformer2DModel(
        num_layers=38, num_attention_heads=38, caption_projection_dim=2432, pos_embed_max_size=192,
        qk_norm="rms_norm"),
    "sd3.5-medium": lambda: diffusers.SD3Transformer2DModel(
        num_layers=24, num_attention_heads=24, caption_projection_dim=1536, pos_embed_max_size=384,
        qk_norm="rms_norm", dual_attention_layers=tuple(range(13))),
    "pixart-sigma": lambda: diffusers.PixArtTransformer2DModel(
        caption_channels=4096, use_additional_conditions=False),
    "dit-xl-2": lambda: diffusers.DiTTransformer2DModel(out_channels=8),
    "qwen-image": lambda: diffusers.QwenImageTransformer2DModel(),
    "wan2.1-t2v-14b": lambda: diffusers.WanTransformer3DModel(),
    "wan2.1-t2v-1.3b": lambda: diffusers.WanTransformer3DModel(
        num_attention_heads=12, ffn_dim=8960, num_layers=30),
    "wan2.1-i2v-14b": lambda: diffusers.WanTransformer3DModel(
        in_channels=36, image_dim=1280, added_kv_proj_dim=5120),
    "hunyuan-video": lambda: diffusers.HunyuanVideoTransformer3DModel(),
    "z-image-turbo": lambda: diffusers.ZImageTransformer2DModel(),
    "ltx-video": lambda: diffusers.LTXVideoTransformer3DModel(),
    "auraflow": lambda: diffusers.AuraFlowTransformer2DModel(),
    "chroma1": lambda: diffusers.ChromaTransformer2DModel(),
    "sana-1600m": lambda: diffusers.SanaTransformer2DModel(),
    "cogvideox-5b": lambda: diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True),
    "hidream-i1": lambda: diffusers.HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=16, caption_channels=[4096, 4096],
        axes_dims_rope=(64, 32, 32), llama_layers=[*range(32), *[31] * 16]),
    "lumina2": lambda: diffusers.Lumina2Transformer2DModel(cap_feat_dim=2304),
    "mochi-1": lambda: diffusers.MochiTransformer3DModel(),
    "kandinsky5-lite": lambda: diffusers.Kandinsky5Transformer3DModel(
        in_visual_dim=16, out_visual_dim=16, model_dim=1792, ff_dim=7168, visual_cond=True),
    "sdxl": lambda: unet(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048, use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816),
    "sd1.5": lambda: unet(cross_attention_dim=768),
    "t5-xxl-encoder": t5_encoder,
    "dream-7b": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28,
        num_attention_heads=28, num_key_value_heads=4, tie_word_embeddings=False)),
}


def linear(name, rows, columns):
    return {f"{name}.weight": [rows, columns], f"{name}.bias": [rows]}


def flux_original(d=3072):
    tensors = {
        **linear("img_in", d, 64), **linear("txt_in", d, 4096),
        **linear("final_layer.linear", 64, d), **linear("final_layer.adaLN_modulation.1", 2 * d, d),
    }
    for part, columns in ("time", 256), ("vector", 768), ("guidance", 256):
        tensors |= linear(f"{part}_in.in_layer", d, columns) | linear(f"{part}_in.out_layer", d, d)
    for stream in "img", "txt":
        block = "double_blocks.{0..18}." + stream
        tensors |= {
            **linear(f"{block}_mod.lin", 6 * d, d),
            **linear(f"{block}_attn.qkv", 3 * d, d), **linear(f"{block}_attn.proj", d, d),
            f"{block}_attn.norm.query_norm.scale": [128], f"{block}_attn.norm.key_norm.scale": [128],
            **linear(f"{block}_mlp.0", 4 * d, d), **linear(f"{block}_mlp.2", d, 4 * d),
        }
    block = "single_blocks.{0..37}."
    return tensors | {
        **linear(f"{block}linear1", 7 * d, d), **linear(f"{block}linear2", d, 5 * d),
        f"{block}norm.query_norm.scale": [128], f"{block}norm.key_norm.scale": [128],
        **linear(f"{block}modulation.lin", 3 * d, d),
    }


def sd3_original(d=1536):
    prefix = "model.diffusion_model."
    tensors = {
        "pos_embed": [1, 36864, d], "x_embedder.proj.weight": [d, 16, 2, 2],
        "x_embedder.proj.bias": [d], **linear("context_embedder", d, 4096),
        **linear("t_embedder.mlp.0", d, 256), **linear("t_embedder.mlp.2", d, d),
        **linear("y_embedder.mlp.0", d, 2048), **linear("y_embedder.mlp.2", d, d),
        **linear("final_layer.linear", 64, d), **linear("final_layer.adaLN_modulation.1", 2 * d, d),
    }
    # The last block reads the context and writes none.
    for block, whole in ("{0..22}.x", 1), ("{0..22}.context", 1), ("23.x", 1), ("23.context", 0):
        block = f"joint_blocks.{block}_block"
        tensors |= linear(f"{block}.attn.qkv", 3 * d, d)
        tensors |= linear(f"{block}.adaLN_modulation.1", 6 * d if whole else 2 * d, d)
        if whole:
            tensors |= linear(f"{block}.attn.proj", d, d)
            tensors |= linear(f"{block}.mlp.fc1", 4 * d, d) | linear(f"{block}.mlp.fc2", d, 4 * d)
    return {prefix + name: shape for name, shape in tensors.items()}


def wan_original(d=5120):
    block = "blocks.{0..39}."
    tensors = {
        "patch_embedding.weight": [d, 36, 1, 2, 2], "patch_embedding.bias": [d],
        **linear("text_embedding.0", d, 4096), **linear("text_embedding.2", d, d),
        **linear("time_embedding.0", d, 256), **linear("time_embedding.2", d, d),
        **linear("time_projection.1", 6 * d, d),
        "img_emb.proj.0.weight": [1280], "img_emb.proj.0.bias": [1280],
        **linear("img_emb.proj.1", 1280, 1280), **linear("img_emb.proj.3", d, 1280),
        "img_emb.proj.4.weight": [d], "img_emb.proj.4.bias": [d],
        f"{block}modulation": [1, 6, d], f"{block}norm3.weight": [d], f"{block}norm3.bias": [d],
        **linear(f"{block}ffn.0", 13824, d), **linear(f"{block}ffn.2", d, 13824),
        "head.modulation": [1, 2, d], **linear("head.head", 64, d),
    }
    for attention, parts in ("self_attn", ["q", "k", "v", "o"]), (
        "cross_attn", ["q", "k", "v", "o", "k_img", "v_img"]
    ):
        for part in parts:
            tensors |= linear(f"{block}{attention}.{part}", d, d)
            if part not in ("v", "o", "v_img"):
                tensors[f"{block}{attention}.norm_{part}.weight"] = [d]
    return tensors


def llada(d=4096):
    block = "model.transformer.blocks.{0..31}."
    return {
        "model.transformer.wte.weight": [126464, d],
        **{f"{block}{part}.weight": [d, d] for part in ("q_proj", "k_proj", "v_proj", "attn_out")},
        f"{block}ff_proj.weight": [12288, d], f"{block}up_proj.weight": [12288, d],
        f"{block}ff_out.weight": [d, 12288],
        f"{block}attn_norm.weight": [d], f"{block}ff_norm.weight": [d],
        "model.transformer.ln_f.weight": [d], "model.transformer.ff_out.weight": [126464, d],
    }


def llada_moe(d=2048):
    layer = "model.layers.{0..15}."
    expert = f"{layer}mlp.experts.{{0..63}}."
    return {
        "model.embed_tokens.weight": [157184, d],
        **{f"{layer}self_attn.{part}_proj.weight": [d, d] for part in "qkvo"},
        f"{layer}self_attn.q_norm.weight": [128], f"{layer}self_attn.k_norm.weight": [128],
        f"{layer}mlp.gate.weight": [64, d], f"{expert}gate_proj.weight": [1024, d],
        f"{expert}up_proj.weight": [1024, d], f"{expert}down_proj.weight": [d, 1024],
        f"{layer}input_layernorm.weight": [d], f"{layer}post_attention_layernorm.weight": [d],
        "model.norm.weight": [d], "lm_head.weight": [157184, d],
    }


# Published under names that no installed class has: the original ones, as ComfyUI reads them, and
# language models that come with code of their own.
WRITTEN = {
    "flux-dev-original": flux_original,
    "sd3-medium-original": sd3_original,
    "wan2.1-i2v-14b-original": wan_original,
    "llada-8b": llada,
    "llada-moe-7b": llada_moe,
}


def shapes_of(build):
    with torch.device("meta"):
        model = build()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    tied = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tied -= {name for name, _ in model.named_parameters()}
    return {name: shape for name, shape in shapes.items() if name not in tied}


def collapse(shapes):
    """Numbers in names become ranges wherever the shapes are equal: a.{0..3}.b."""
    entries = [(tuple(name.split(".")), tuple(shape)) for name, shape in shapes.items()]
    longest = max(len(parts) for parts, _ in entries)
    for at in reversed(range(longest)):
        runs = {}
        for parts, shape in entries:
            if at < len(parts) and parts[at].isdigit():
                key = (parts[:at], parts[at + 1:], shape)
                runs.setdefault(key, []).append(int(parts[at]))
            else:
                runs.setdefault((parts, None, shape), []).append(0)
        entries = []
        for (head, rest, shape), numbers in runs.items():
            if rest is None:
                entries.append((head, shape))
                continue
            numbers.sort()
            for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
                run = [number for _, number in run]
                middle = str(run[0]) if len(run) == 1 else f"{{{run[0]}..{run[-1]}}}"
                entries.append(((*head, middle, *rest), shape))
    return {".".join(parts): list(shape) for parts, shape in entries}


for name, build in (BUILT | WRITTEN).items():
    path = HERE / f"{name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    tensors = collapse(shapes_of(build)) if name in BUILT else build()
    path.write_text(json.dumps({**kept, "dtype": "BF16", "tensors": tensors}))
