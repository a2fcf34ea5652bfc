/** The tensors that stand for a layer in compressed-tensors `pack-quantized`. */

import { packedBytes } from "../../compute/pack_codes.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { type LayerTensors, newTensor } from "../plan_shards.ts";

/** Names of the tensors that stand for `LAYER.weight`; without zero points where parameters are symmetric. */
export function packedNames(
  layer: string,
): { packed: string; scale: string; zeroPoint: string; shape: string } {
  return {
    packed: `${layer}.weight_packed`,
    scale: `${layer}.weight_scale`,
    zeroPoint: `${layer}.weight_zero_point`,
    shape: `${layer}.weight_shape`,
  };
}

/** Which of a layer's tensors is which. */
export const PARTS = { scale: 1, shape: 2, zeroPoint: 3 } as const;

/** The tensors that stand for a layer's weight in the checkpoint. */
export function packedTensors(layer: LayerPlan): LayerTensors {
  const { rows, columns, bits, scaleDtype, symmetric, grid: { blockColumns } } = layer;
  const names = packedNames(layer.name);
  const blocks = columns / blockColumns;
  return {
    codes: newTensor(names.packed, "I32", [rows, packedBytes(columns, bits) / 4]),
    packing: "words",
    others: [
      newTensor(names.scale, scaleDtype, [rows, blocks]),
      newTensor(names.shape, "I64", [2]),
      ...symmetric
        ? []
        : [newTensor(names.zeroPoint, "I32", [packedBytes(rows, bits) / 4, blocks])],
    ],
    reserved: Object.values(names),
  };
}

/** Rows and columns of a layer's weight, as the tensor of its shape. */
export function encodeConstants({ rows, columns }: LayerPlan): TensorPart[] {
  const shape = new BigInt64Array([BigInt(rows), BigInt(columns)]);
  return [{ tensor: PARTS.shape, offset: 0, bytes: new Uint8Array(shape.buffer) }];
}
