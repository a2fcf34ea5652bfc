/** The parameters of a layer as compressed-tensors stores them: a scale and a packed zero point for each row and block. */

import { packedBytes, packZeroPoints } from "../../compute/pack_codes.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import type { LayerParams } from "../../types.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { expandParams } from "../expand_params.ts";
import { PARTS } from "./layer_tensors.ts";

/** Encodes the scales and the packed zero points of some rows of a layer, see `CheckpointFormat`. */
export function* encodeParams(
  { bits, scaleDtype, symmetric }: LayerPlan,
  params: LayerParams,
  most?: number,
): Generator<TensorPart> {
  for (const { from, blocks, scale, zero_point } of expandParams(params, most)) {
    const bytes = encodeFloats(scale, scaleDtype);
    yield { tensor: PARTS.scale, offset: from * blocks * floatBytes(scaleDtype), bytes };
    if (symmetric) continue;
    yield {
      tensor: PARTS.zeroPoint,
      offset: packedBytes(from, bits) * blocks,
      bytes: packZeroPoints(zero_point, blocks, bits),
    };
  }
}
