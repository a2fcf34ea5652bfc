"""The two models of the examples as modules of PyTorch, with the names of their checkpoints, in F32.

A twin has `model`, `predict(times)`, what the model predicts of fixed samples that are noised or masked as
the timestep or mask level of each says, and `reference_error()`, against what was predicted of old.
"""

import json
import math
import pathlib

import torch
from record_calibration import mask_levels
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

# In a batch.
SAMPLES = 8


def load_weights(model, name):
    weights = load_file(EXAMPLES / name / "model.safetensors")
    model.load_state_dict({key: value.float() for key, value in weights.items()}, strict=True)
    return model.eval()


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x, condition):
        parts = self.adaLN_modulation(condition).unsqueeze(1).chunk(6, -1)
        heads = self.attn["qkv"](modulate(x, *parts[:2])).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        x = x + parts[2] * self.attn["proj"](seen)
        hidden = self.mlp["fc1"](modulate(x, *parts[3:5]))
        return x + parts[5] * self.mlp["fc2"](F.gelu(hidden, approximate="tanh"))


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class Denoiser(nn.Module):
    """The digits DiT."""

    def __init__(self, width=128, depth=4, heads=4):
        super().__init__()
        self.x_embedder = nn.Linear(4, width)
        self.pos_embed = nn.Parameter(torch.empty(1, 16, width))
        embed_time = nn.Sequential(nn.Linear(128, width), nn.SiLU(), nn.Linear(width, width))
        self.t_embedder = nn.ModuleDict({"mlp": embed_time})
        self.y_embedder = nn.Embedding(11, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        last = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.final_layer = nn.ModuleDict({"adaLN_modulation": last, "linear": nn.Linear(width, 4)})

    def forward(self, x, t, y):
        angles = t.float()[:, None] * torch.exp(-math.log(10000) * torch.arange(64) / 64)
        condition = self.t_embedder["mlp"](torch.cat([angles.cos(), angles.sin()], -1)) + self.y_embedder(y)
        patches = x.unflatten(2, (4, 2)).unflatten(1, (4, 2)).transpose(2, 3).reshape(len(x), 16, 4)
        h = self.x_embedder(patches) + self.pos_embed
        for block in self.blocks:
            h = block(h, condition)
        shift, scale = self.final_layer["adaLN_modulation"](condition).unsqueeze(1).chunk(2, -1)
        out = self.final_layer["linear"](modulate(h, shift, scale))
        return out.reshape(-1, 4, 4, 2, 2).transpose(2, 3).reshape(-1, 8, 8)


class DigitsTwin:
    def __init__(self):
        self.model = load_weights(Denoiser(), "digits-dit")
        data = load_file(EXAMPLES / "digits-dit-data/digits.safetensors")
        self.images = data["images"][:SAMPLES].float() / 8 - 1
        self.labels = data["labels"][:SAMPLES].long()
        self.left = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)

    @torch.no_grad()
    def predict(self, times):
        generator = torch.Generator().manual_seed(int(times.sum()))
        noise = torch.randn(self.images.shape, generator=generator)
        left = self.left[times.long()].float().view(-1, 1, 1)
        return self.model(left.sqrt() * self.images + (1 - left).sqrt() * noise, times, self.labels)

    @torch.no_grad()
    def reference_error(self):
        known = load_file(EXAMPLES / "digits-dit-data/reference.safetensors")
        found = self.model(known["x"], known["t"], known["y"].long())
        return (found - known["eps"]).abs().max().item()


class LanguageTwin:
    """The small language model: Qwen2 whose tokens see all others."""

    def __init__(self):
        config = json.loads((EXAMPLES / "small-dlm/config.json").read_text())
        self.mask_id = config["mask_token_id"]
        kept = {key: config[key] for key in Qwen2Config().to_dict() if key in config and key != "model_type"}
        self.model = load_weights(Qwen2ForCausalLM(Qwen2Config(**kept)), "small-dlm")
        self.ids = load_file(EXAMPLES / "small-dlm-data/eval.safetensors")["ids"][:SAMPLES].long()

    @torch.no_grad()
    def run(self, ids):
        everything = torch.zeros(len(ids), 1, ids.shape[1], ids.shape[1])
        return self.model(input_ids=ids, attention_mask=everything, use_cache=False).logits

    def predict(self, times):
        masked = [
            batch for i, t in enumerate(times) for _, batch in mask_levels(self.ids[i : i + 1], self.mask_id, [t.item()], i)
        ]
        return self.run(torch.cat(masked))

    def reference_error(self):
        known = load_file(EXAMPLES / "small-dlm-data/reference.safetensors")
        found = self.run(known["ids"].long()).gather(1, known["positions"].long()[..., None].expand(-1, -1, 1024))
        return (found - known["logits"]).abs().max().item()


TWINS = {"digits": DigitsTwin, "small-dlm": LanguageTwin}
