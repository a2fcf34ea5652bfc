"""SDNQ checkpoints through diffusers alone, which finds sdnq by itself: as a model and in a pipeline.

A case with `pipeline` is loaded as the transformer of that pipeline and has to draw the same image.
"""

import os
import shutil
import sys
import tempfile

import compare
from diffusers import DiffusionPipeline
from forward import draw, predict


def check(case):
    if "pipeline" in case:
        return check_pipeline(case)
    cls = compare.model_class(case["model"])
    model, info = cls.from_pretrained(
        case["checkpoint"], torch_dtype=compare.torch.float32, output_loading_info=True
    )
    decoded = compare.load_decoded(case)
    return {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        **compare.compare_weights(compare.effective_weights(model, decoded), decoded),
        "forward_error": compare.relative_error(
            predict(model.eval()), predict(compare.load_reference(case, decoded))
        ),
    }


def check_pipeline(case):
    decoded = compare.load_decoded(case)
    reference = DiffusionPipeline.from_pretrained(case["pipeline"])
    compare.put_weights(reference.transformer, decoded)
    with tempfile.TemporaryDirectory() as root:
        directory = os.path.join(root, "pipeline")
        shutil.copytree(case["pipeline"], directory, ignore=shutil.ignore_patterns("transformer"))
        shutil.copytree(case["checkpoint"], os.path.join(directory, "transformer"))
        pipeline = DiffusionPipeline.from_pretrained(directory)
        weights = compare.effective_weights(pipeline.transformer, decoded)
        # A pipeline does not tell which names it missed; a weight that is not loaded is random.
        return {
            "missing": [],
            "unexpected": [],
            **compare.compare_weights(weights, decoded),
            "forward_error": compare.relative_error(draw(pipeline), draw(reference)),
        }


if __name__ == "__main__":
    assert "sdnq" not in sys.modules, "diffusers has to find sdnq by itself"
    compare.run(check)
