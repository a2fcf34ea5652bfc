"""What the checks of all runtimes share: cases in, results out, and how far two sets of values differ.

A case is a JSON object: `model`, the directory of the original; `checkpoint`, what was written of it;
`decoded`, a safetensors file of the weights that the checkpoint should decode to, in F32; `decodes_to`, if
any, the dtype that the runtime rounds them to. A result holds `missing` and `unexpected` names, `weights`,
how many were compared, `weight_error` and `forward_error`, or `error` alone, where the runtime refused
the checkpoint.
"""

import json
import os
import sys
import traceback

# Nothing is fetched, and nothing is compiled: the checks are over before a compiler would be warm.
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "SDNQ_USE_TORCH_COMPILE": "0"}

import torch
from safetensors.torch import load_file


def run(check):
    """Calls `check` with each case of the file named first, and writes the results to the second."""
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    results = []
    for case in cases:
        try:
            results.append(check(case))
        except Exception as error:
            traceback.print_exc()
            results.append({"error": f"{type(error).__name__}: {error}"})
    with open(sys.argv[2], "w") as file:
        json.dump(results, file)


def model_class(directory):
    """The class that a model directory names; Dream's own code is not part of transformers."""
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    if "_class_name" in config:
        import diffusers

        return getattr(diffusers, config["_class_name"])
    import transformers

    return transformers.Qwen2ForCausalLM


def load_decoded(case):
    """The weights that the runtime should find, in F32."""
    dtype = getattr(torch, case.get("decodes_to", "float32"))
    return {name: value.to(dtype).float() for name, value in load_file(case["decoded"]).items()}


def load_reference(case, decoded):
    """The original model in F32, its weights replaced by the decoded ones."""
    cls = model_class(case["model"])
    name = "dtype" if cls.__module__.startswith("transformers") else "torch_dtype"
    model = cls.from_pretrained(case["model"], **{name: torch.float32})
    put_weights(model, decoded)
    return model.eval()


def put_weights(model, decoded):
    """Replaces weights; every one has to be the model's."""
    parameters = dict(model.named_parameters())
    for name, value in decoded.items():
        parameters[name].data.copy_(value.reshape(parameters[name].shape))


@torch.no_grad()
def effective_weight(linear):
    """The weight that a layer multiplies by, however it is stored: what it makes of the unit vectors."""
    bias = None if linear.bias is None else linear.bias.detach().clone()
    if bias is not None:
        linear.bias.zero_()
    weight = linear(torch.eye(linear.in_features)).t()
    if bias is not None:
        linear.bias.copy_(bias)
    return weight


def effective_weights(model, names):
    """By name of the parameter."""
    modules = dict(model.named_modules())
    return {name: effective_weight(modules[name.removesuffix(".weight")]) for name in names}


def relative_error(found, expected):
    """Largest difference, as a share of the largest expected value."""
    found, expected = found.float(), expected.float()
    if found.shape != expected.shape:
        raise ValueError(f"shape {list(found.shape)}, expected {list(expected.shape)}")
    if not found.isfinite().all():
        raise ValueError("values that are not finite")
    return ((found - expected).abs().max() / expected.abs().max()).item()


def compare_weights(found, decoded):
    """How many weights there are, and the largest error of any."""
    errors = [relative_error(found[name], value) for name, value in decoded.items()]
    return {"weights": len(errors), "weight_error": max(errors)}
