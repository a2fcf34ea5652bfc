/** The tensors that stand for a layer in ComfyUI's formats. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import type { Bits } from "../../types.ts";
import type { TensorPart } from "../checkpoint_format.ts";
import { type LayerTensors, newTensor } from "../plan_shards.ts";

/** Names of the tensors that stand for `LAYER.weight`. */
export function comfyNames(
  layer: string,
): { weight: string; scale: string; zeros: string; quant: string } {
  return {
    weight: `${layer}.weight`,
    scale: `${layer}.weight_scale`,
    zeros: `${layer}.weight_zeros`,
    quant: `${layer}.comfy_quant`,
  };
}

/** Which of a layer's tensors is which. */
export const PARTS = { scale: 1, quant: 2, zeros: 3 } as const;

/** What a layer says of itself, byte for byte. */
export function describeQuant(bits: Bits, blockColumns: number): string {
  return bits === 8
    ? '{"format": "int8_tensorwise"}'
    : `{"format": "awq_w4a16", "group_size": ${blockColumns}}`;
}

/**
 * The tensors that stand for a layer's weight: value = (code - 8) * scale + zeros at 4 bits, whose scales and
 * zeros are [blocks, rows]; value = code * scale at 8.
 */
export function layerTensors(layer: LayerPlan): LayerTensors {
  const { rows, columns, bits, scaleDtype, grid: { blockColumns } } = layer;
  const names = comfyNames(layer.name);
  const quant = describeQuant(bits, blockColumns);
  const blocks = columns / blockColumns;
  const shape = bits === 8 ? [rows, 1] : [blocks, rows];
  return {
    codes: newTensor(names.weight, "I8", [rows, (columns * bits) / 8]),
    packing: bits === 8 ? "signed" : "bytes",
    others: [
      newTensor(names.scale, scaleDtype, shape),
      newTensor(names.quant, "U8", [quant.length]),
      ...bits === 8 ? [] : [newTensor(names.zeros, scaleDtype, shape)],
    ],
    reserved: Object.values(names),
  };
}

/** What a layer says of itself, as a tensor. */
export function encodeConstants({ bits, grid: { blockColumns } }: LayerPlan): TensorPart[] {
  const bytes = new TextEncoder().encode(describeQuant(bits, blockColumns));
  return [{ tensor: PARTS.quant, offset: 0, bytes }];
}
