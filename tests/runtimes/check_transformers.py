"""Checkpoints of language models through transformers: compressed-tensors, and SDNQ after `import sdnq`."""

import compare
import sdnq  # noqa: F401 -- transformers learns of SDNQ by this
from forward import predict
from transformers import CompressedTensorsConfig


def check(case):
    cls = compare.model_class(case["model"])
    config = CompressedTensorsConfig(dequantize=True) if case.get("dequantize") else None
    options = {"quantization_config": config} if config else {}
    model, info = cls.from_pretrained(
        case["checkpoint"], dtype=compare.torch.float32, output_loading_info=True, **options
    )
    # The first call decompresses what compressed-tensors left packed.
    prediction = predict(model.eval())
    decoded = compare.load_decoded(case)
    return {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        **compare.compare_weights(compare.effective_weights(model, decoded), decoded),
        "forward_error": compare.relative_error(prediction, predict(compare.load_reference(case, decoded))),
    }


if __name__ == "__main__":
    compare.run(check)
