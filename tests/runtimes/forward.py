"""What a model predicts of fixed random inputs, in F32."""

import torch


def _noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _flux(config):
    return {
        "hidden_states": _noise(1, 16, config.in_channels),
        "encoder_hidden_states": _noise(1, 6, config.joint_attention_dim),
        "pooled_projections": _noise(1, config.pooled_projection_dim),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.stack([torch.zeros(16), torch.arange(16) // 4, torch.arange(16) % 4], 1),
        "txt_ids": torch.zeros(6, 3),
    }


def _sd3(config):
    return {
        "hidden_states": _noise(1, config.in_channels, 8, 8),
        "encoder_hidden_states": _noise(1, 6, config.joint_attention_dim),
        "pooled_projections": _noise(1, config.pooled_projection_dim),
        "timestep": torch.tensor([500.0]),
    }


def _pixart(config):
    return {
        "hidden_states": _noise(1, config.in_channels, 8, 8),
        "encoder_hidden_states": _noise(1, 6, config.caption_channels),
        "timestep": torch.tensor([500]),
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
    }


def _dit(config):
    return {
        "hidden_states": _noise(1, config.in_channels, 8, 8),
        "timestep": torch.tensor([500]),
        "class_labels": torch.tensor([3]),
    }


def _qwen_image(config):
    return {
        "hidden_states": _noise(1, 16, config.in_channels),
        "encoder_hidden_states": _noise(1, 6, config.joint_attention_dim),
        "encoder_hidden_states_mask": torch.ones(1, 6, dtype=torch.long),
        "timestep": torch.tensor([0.5]),
        "img_shapes": [[(1, 4, 4)]],
    }


def _wan(config):
    return {
        "hidden_states": _noise(1, config.in_channels, 1, 8, 8),
        "encoder_hidden_states": _noise(1, 6, config.text_dim),
        "timestep": torch.tensor([500]),
    }


INPUTS = {
    "FluxTransformer2DModel": _flux,
    "SD3Transformer2DModel": _sd3,
    "PixArtTransformer2DModel": _pixart,
    "DiTTransformer2DModel": _dit,
    "QwenImageTransformer2DModel": _qwen_image,
    "WanTransformer3DModel": _wan,
}


@torch.no_grad()
def predict(model):
    """The model's prediction: noise of a diffusion model, logits of a language model."""
    name = type(model).__name__
    if name in INPUTS:
        # A model forgets its weights' dtype once they are packed: the inputs stay F32.
        return model(**INPUTS[name](model.config), return_dict=False)[0]
    tokens = torch.arange(24).reshape(1, 24) * 7 % model.config.vocab_size
    return model(input_ids=tokens, use_cache=False).logits


@torch.no_grad()
def draw(pipeline):
    """The image that a pipeline draws, as values from 0 to 1."""
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        "a red cat",
        num_inference_steps=2,
        height=16,
        width=16,
        max_sequence_length=16,
        use_resolution_binning=False,
        clean_caption=False,
        output_type="pt",
        generator=torch.Generator().manual_seed(0),
    ).images
