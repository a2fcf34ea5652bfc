/** ComfyUI's own formats: `awq_w4a16` for 4 bits and `int8_tensorwise` for 8. */

import type { Model } from "../../model/open_model.ts";
import type { CheckpointFormat } from "../checkpoint_format.ts";
import { planShard } from "../plan_shards.ts";
import { encodeParams } from "./encode_params.ts";
import { encodeConstants, layerTensors } from "./layer_tensors.ts";

/** The format. */
export const COMFY: CheckpointFormat = {
  storage: {
    scaleDtype: (_dtype, bits) => bits === 8 ? "F32" : "BF16",
    isSymmetric: (bits, asked) => bits === 8 || asked,
    holds: (bits, blockColumns, columns) =>
      bits === 8 ? blockColumns === columns : bits === 4 && blockColumns % 2 === 0,
  },
  plan: (model, { layers }) => {
    const byTensor = new Map(layers.map((layer) => [layer.tensor.name, layer]));
    return {
      files: [planShard(fileName(model), model.shards, byTensor, layerTensors)],
      quantization: undefined,
      keepsShards: false,
    };
  },
  encodeConstants,
  encodeParams,
};

/** ComfyUI loads one file. */
function fileName({ shards, index }: Model): string {
  return index === undefined ? shards[0]!.name : index.name.replace(/\.index\.json$/, "");
}
