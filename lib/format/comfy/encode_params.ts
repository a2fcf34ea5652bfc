/** The parameters of a layer as ComfyUI stores them: block by block, since its kernels read them so. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats, floatBytes, roundToDtype } from "../../safetensors/dtype.ts";
import { type LayerParams, middleOf } from "../../types.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { expandParams } from "../expand_params.ts";
import { comfyNames } from "./layer_tensors.ts";

/** Encodes the scales and zeros of some rows of a layer, see `CheckpointFormat`. */
export function* encodeParams(
  { name, bits, rows, scaleDtype }: LayerPlan,
  params: LayerParams,
  most?: number,
): Generator<TensorPart> {
  const names = comfyNames(name);
  const width = floatBytes(scaleDtype);
  for (const { from, count, blocks, scale, zero_point } of expandParams(params, most)) {
    const column = new Float32Array(count);
    const part = (name: string, block: number, valueOf: (at: number) => number): TensorPart => {
      for (let row = 0; row < count; row++) column[row] = valueOf(row * blocks + block);
      const offset = (block * rows + from) * width;
      return { name, offset, bytes: encodeFloats(column, scaleDtype) };
    };
    for (let block = 0; block < blocks; block++) {
      yield part(names.scale, block, (at) => scale[at]!);
      if (bits === 8) continue;
      const zeroOf = (at: number) => (middleOf(bits) - zero_point[at]!) * scale[at]!;
      yield part(names.zeros, block, (at) => roundToDtype(zeroOf(at), scaleDtype));
    }
  }
}
