"""GGUF files: every tensor as gguf-py decodes it, and the model as diffusers runs it, where it can."""

import json
import os

import compare
import gguf
from diffusers import GGUFQuantizationConfig
from forward import predict

FLOATS = {"F32", "F16", "BF16"}


def llama_name(name):
    """llama.cpp's name of a Qwen2 weight."""
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{parts[part]}.weight"


def check(case):
    decoded = compare.load_decoded(case)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(case["checkpoint"]).tensors}
    names = {name: name if name in tensors else llama_name(name) for name in decoded}
    found = {
        name: compare.torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type))
        for name, tensor in ((name, tensors[names[name]]) for name in decoded)
    }
    quantized = {name for name, tensor in tensors.items() if tensor.tensor_type.name not in FLOATS}
    result = {
        "missing": [],
        "unexpected": sorted(quantized - set(names.values())),
        "types": sorted({tensors[name].tensor_type.name for name in quantized}),
        **compare.compare_weights(found, decoded),
    }
    if "model" in case and is_diffusers(case["model"]):
        result |= check_model(case, tensors, decoded)
    return result


def is_diffusers(directory):
    with open(os.path.join(directory, "config.json")) as file:
        return "_class_name" in json.load(file)


def check_model(case, tensors, decoded):
    model = compare.model_class(case["model"]).from_single_file(
        case["checkpoint"],
        config=case["model"],
        quantization_config=GGUFQuantizationConfig(compute_dtype=compare.torch.float32),
        torch_dtype=compare.torch.float32,
        local_files_only=True,
    )
    weights = compare.effective_weights(model, decoded)
    return {
        "missing": sorted(name for name, value in model.state_dict().items() if value.is_meta),
        "unexpected": sorted(set(tensors) - set(model.state_dict())),
        "layer_error": compare.compare_weights(weights, decoded)["weight_error"],
        "forward_error": compare.relative_error(
            predict(model.eval()), predict(compare.load_reference(case, decoded))
        ),
    }


if __name__ == "__main__":
    compare.run(check)
