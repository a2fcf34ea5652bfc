/** The parameters of a layer as SDNQ stores them: a scale and a zero point in units of the weights for each row and block. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import type { LayerParams } from "../../types.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { expandParams } from "../expand_params.ts";
import { PARTS } from "./layer_tensors.ts";

/** Encodes the scales and zero points of some rows of a layer, see `CheckpointFormat`. */
export function* encodeParams(
  { bits, scaleDtype }: LayerPlan,
  params: LayerParams,
  most?: number,
): Generator<TensorPart> {
  for (const { from, blocks, scale, zero_point } of expandParams(params, most)) {
    const first = from * blocks;
    const bytes = encodeFloats(scale, scaleDtype);
    yield { tensor: PARTS.scale, offset: first * floatBytes(scaleDtype), bytes };
    if (bits === 8) continue;
    const zeroPoints = scale.map((scale, i) => -zero_point[i]! * scale);
    const floats = encodeFloats(zeroPoints, "F32");
    yield { tensor: PARTS.zeroPoint, offset: first * 4, bytes: floats };
  }
}
