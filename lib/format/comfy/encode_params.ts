/** The parameters of a layer as ComfyUI stores them: block by block, since its kernels read them so. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import { type LayerParams, middleOf } from "../../types.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { expandParams } from "../expand_params.ts";
import { PARTS } from "./layer_tensors.ts";

/** Encodes the scales and zeros of some rows of a layer, see `CheckpointFormat`. */
export function* encodeParams(
  { bits, rows, scaleDtype }: LayerPlan,
  params: LayerParams,
  most?: number,
): Generator<TensorPart> {
  const width = floatBytes(scaleDtype);
  const middle = middleOf(bits);
  for (const { from, count, blocks, scale, zero_point } of expandParams(params, most)) {
    const scales = new Float32Array(count * blocks);
    const zeros = new Float32Array(bits === 8 ? 0 : count * blocks);
    for (let block = 0, to = 0; block < blocks; block++) {
      for (let at = block; at < scale.length; at += blocks, to++) {
        const own = scale[at]!;
        scales[to] = own;
        // Rounded to the dtype when it is encoded.
        if (bits < 8) zeros[to] = (middle - zero_point[at]!) * own;
      }
    }
    const tensors: [number, Float32Array][] = [[PARTS.scale, scales]];
    if (bits < 8) tensors.push([PARTS.zeros, zeros]);
    for (const [tensor, values] of tensors) {
      const bytes = encodeFloats(values, scaleDtype);
      if (count === rows) {
        yield { tensor, offset: 0, bytes };
        continue;
      }
      for (let block = 0; block < blocks; block++) {
        const part = bytes.subarray(block * count * width, (block + 1) * count * width);
        yield { tensor, offset: (block * rows + from) * width, bytes: part };
      }
    }
  }
}
