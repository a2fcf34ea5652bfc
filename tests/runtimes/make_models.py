"""Makes tiny models with random weights, each saved as its package saves it, and a pipeline.

python make_models.py DIRECTORY writes DIRECTORY/NAME for each model, DIRECTORY/pipeline, and prints the
names. The same seed gives the same weights.
"""

import json
import pathlib
import sys

import torch
from diffusers import (
    AutoencoderKL,
    DiTTransformer2DModel,
    DPMSolverMultistepScheduler,
    FluxTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import Qwen2Config, Qwen2ForCausalLM, T5Config, T5EncoderModel, T5TokenizerFast

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32


def randomize(model, seed):
    """Gives every weight a value: layers that start at zero would hide that they were not loaded."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            value = noise / parameter[0].numel() ** 0.5
        else:
            value = 0.1 * noise + (1 if "norm" in name and name.endswith("weight") else 0)
        parameter.data.copy_(value)
    return model.eval()


# Flux is wide enough for blocks of 256 columns, PixArt narrow enough to need a smaller group than 128.
DIFFUSERS = {
    "flux": (
        BF16,
        lambda: FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=64,
            num_attention_heads=4,
            joint_attention_dim=256,
            pooled_projection_dim=64,
            axes_dims_rope=(16, 24, 24),
        ),
    ),
    "sd3": (
        F16,
        lambda: SD3Transformer2DModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=64,
            num_attention_heads=2,
            joint_attention_dim=128,
            caption_projection_dim=128,
            pooled_projection_dim=64,
            pos_embed_max_size=16,
            qk_norm="rms_norm",
        ),
    ),
    "pixart": (
        F32,
        lambda: PixArtTransformer2DModel(
            sample_size=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            attention_head_dim=32,
            num_attention_heads=2,
            cross_attention_dim=64,
            caption_channels=64,
            use_additional_conditions=False,
        ),
    ),
    "dit": (
        F32,
        lambda: DiTTransformer2DModel(
            sample_size=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            attention_head_dim=32,
            num_attention_heads=4,
            num_embeds_ada_norm=10,
        ),
    ),
    "qwen-image": (
        BF16,
        lambda: QwenImageTransformer2DModel(
            in_channels=64,
            out_channels=16,
            num_layers=2,
            attention_head_dim=64,
            num_attention_heads=2,
            joint_attention_dim=128,
            axes_dims_rope=(8, 28, 28),
        ),
    ),
    "wan": (
        F32,
        lambda: WanTransformer3DModel(
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=64,
            num_attention_heads=2,
            text_dim=64,
            freq_dim=64,
            ffn_dim=256,
        ),
    ),
}


def qwen2(width):
    """A small Qwen2 language model of so many features."""
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=320,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            tie_word_embeddings=False,
        )
    )


def byte_tokenizer(special):
    """A byte-level BPE tokenizer: all bytes, a few merges, and special tokens behind them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n")]
    words = letters + [left + right for left, right in merges]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(special)
    return tokenizer


def save_dream(directory):
    """Qwen2's weights under the configuration that Dream-7B has; its code is not part of transformers."""
    randomize(qwen2(256), 8).to(BF16).save_pretrained(directory)
    special = ["<|endoftext|>", "<|beginoftext|>", "<|mask|>"]
    tokenizer = byte_tokenizer(special)
    ids = [tokenizer.token_to_id(token) for token in special]
    tokenizer.save(str(directory / "tokenizer.json"))
    config = json.loads((directory / "config.json").read_text())
    config |= {
        "architectures": ["DreamModel"],
        "model_type": "Dream",
        "rope_theta": 10000.0,
        "eos_token_id": ids[0],
        "pad_token_id": ids[0],
        "bos_token_id": ids[1],
        "mask_token_id": ids[2],
    }
    del config["rope_parameters"], config["layer_types"]
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def word_tokenizer(words):
    """A T5 tokenizer that knows a few words."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -5.0)]
    pieces += [(f"▁{word}", -2.0) for word in words]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0)


def make_pipeline(transformer):
    """A PixArt pipeline of tiny parts around this transformer."""
    encoder = T5EncoderModel(T5Config(vocab_size=32, d_model=64, d_kv=16, d_ff=64, num_layers=1, num_heads=4))
    vae = AutoencoderKL(block_out_channels=(32,), latent_channels=4, sample_size=8)
    return PixArtSigmaPipeline(
        tokenizer=word_tokenizer(["a", "red", "cat"]),
        text_encoder=randomize(encoder, 10),
        vae=randomize(vae, 11),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
    )


def main(directory):
    made = {}
    for seed, (name, (dtype, make)) in enumerate(DIFFUSERS.items()):
        made[name] = randomize(make(), seed).to(dtype)
        made[name].save_pretrained(directory / name)
    randomize(qwen2(128), 7).to(F32).save_pretrained(directory / "qwen2")
    save_dream(directory / "dream")
    make_pipeline(made["pixart"]).save_pretrained(directory / "pipeline")
    print(json.dumps(sorted(path.name for path in directory.iterdir())))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
