"""ComfyUI checkpoints, decoded by the layouts of its own kernel package."""

import json

import compare
import torch
from comfy_kitchen.tensor.awq_w4a16 import TensorCoreAWQW4A16Layout
from comfy_kitchen.tensor.int8 import TensorWiseINT8Layout
from forward import predict
from safetensors.torch import load_file


def decode(tensors, layer):
    """The weight of a layer in F32."""
    weight, scale = tensors[f"{layer}.weight"], tensors[f"{layer}.weight_scale"]
    described = json.loads(bytes(tensors[f"{layer}.comfy_quant"].tolist()))
    rows, columns = weight.shape
    if described["format"] == "int8_tensorwise":
        params = TensorWiseINT8Layout.Params(
            scale=scale, orig_dtype=torch.float32, orig_shape=(rows, columns)
        )
        return TensorWiseINT8Layout.dequantize(weight, params)
    if described["format"] != "awq_w4a16":
        raise ValueError(f"format {described['format']}")
    params = TensorCoreAWQW4A16Layout.Params(
        scale=scale,
        orig_dtype=torch.float32,
        orig_shape=(rows, 2 * columns),
        zeros=tensors[f"{layer}.weight_zeros"],
        group_size=described["group_size"],
    )
    return TensorCoreAWQW4A16Layout.dequantize(weight, params)


def check(case):
    tensors = load_file(case["checkpoint"])
    decoded = compare.load_decoded(case)
    layers = {name.removesuffix(".comfy_quant") for name in tensors if name.endswith(".comfy_quant")}
    found = {f"{layer}.weight": decode(tensors, layer) for layer in layers}
    parts = ["weight", "weight_scale", "weight_zeros", "comfy_quant"]
    model = compare.load_reference(case, decoded)
    rest = set(tensors) - {f"{layer}.{part}" for layer in layers for part in parts}
    expected = set(model.state_dict())
    prediction = predict(model)
    compare.put_weights(model, found)
    return {
        "missing": sorted(expected - rest - set(found)),
        "unexpected": sorted((rest - expected) | (set(found) - set(decoded))),
        **compare.compare_weights(found, decoded),
        "forward_error": compare.relative_error(predict(model), prediction),
    }


if __name__ == "__main__":
    compare.run(check)
