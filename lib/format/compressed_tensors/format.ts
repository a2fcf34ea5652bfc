/** compressed-tensors `pack-quantized`: what transformers and vLLM read. */

import type { CheckpointFormat } from "../checkpoint_format.ts";
import { planShards } from "../plan_shards.ts";
import { describeQuantization } from "./describe_quantization.ts";
import { encodeParams } from "./encode_params.ts";
import { encodeConstants, packedTensors } from "./layer_tensors.ts";

/** The format. */
export const COMPRESSED_TENSORS: CheckpointFormat = {
  storage: {
    // What every loader of the format expects: scales in the dtype of the model.
    scaleDtype: (dtype) => dtype,
    isSymmetric: (_bits, asked) => asked,
    holds: () => true,
  },
  plan: (model, { layers, skipped }) => ({
    files: planShards(model, layers, packedTensors),
    quantization: describeQuantization(layers, skipped),
    keepsShards: true,
  }),
  encodeConstants,
  encodeParams,
};
