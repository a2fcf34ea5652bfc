/** SDNQ: what diffusers reads without an import, and transformers with one. */

import type { CheckpointFormat } from "../checkpoint_format.ts";
import { planShards } from "../plan_shards.ts";
import { describeQuantization } from "./describe_quantization.ts";
import { encodeParams } from "./encode_params.ts";
import { layerTensors } from "./layer_tensors.ts";

/** The format. */
export const SDNQ: CheckpointFormat = {
  storage: {
    scaleDtype: (dtype) => dtype,
    // Its uint8 would lose half a step where zero points are cast to BF16, which loaders do.
    isSymmetric: (bits, asked) => bits === 8 || asked,
    holds: (bits, blockColumns) => (blockColumns * bits) % 8 === 0,
  },
  plan: (model, { layers, skipped }) => ({
    files: planShards(model, layers, layerTensors),
    quantization: describeQuantization(layers, skipped),
    keepsShards: true,
  }),
  encodeConstants: () => [],
  encodeParams,
};
