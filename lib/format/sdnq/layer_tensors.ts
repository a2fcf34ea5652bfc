/** The tensors that stand for a layer in SDNQ. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import { type LayerTensors, newTensor } from "../plan_shards.ts";

/** Names of the tensors that stand for `LAYER.weight`. */
export function sdnqNames(layer: string): { weight: string; scale: string; zeroPoint: string } {
  return {
    weight: `${layer}.weight`,
    scale: `${layer}.scale`,
    zeroPoint: `${layer}.zero_point`,
  };
}

/** Which of a layer's tensors is which. */
export const PARTS = { scale: 1, zeroPoint: 2 } as const;

/** The shape of scales and zero points, and of whole rows of codes: without blocks where there is one a row. */
export function shapeOfParams(rows: number, blocks: number): number[] {
  return blocks === 1 ? [rows, 1] : [rows, blocks, 1];
}

/** The shape of the codes: flat where several share a byte. */
export function shapeOfCodes(
  { rows, columns, bits }: Pick<LayerPlan, "rows" | "columns" | "bits">,
  blocks: number,
): number[] {
  if (bits < 8) return [(rows * columns * bits) / 8];
  return blocks === 1 ? [rows, columns] : [rows, blocks, columns / blocks];
}

/**
 * The tensors that stand for a layer's weight: value = zero_point + code * scale, where the zero point is
 * a float. Signed 8-bit codes have none.
 */
export function layerTensors(layer: LayerPlan): LayerTensors {
  const { rows, columns, bits, scaleDtype, grid: { blockColumns } } = layer;
  const names = sdnqNames(layer.name);
  const blocks = columns / blockColumns;
  const shape = shapeOfParams(rows, blocks);
  const isSigned = bits === 8;
  return {
    codes: newTensor(names.weight, isSigned ? "I8" : "U8", shapeOfCodes(layer, blocks)),
    packing: isSigned ? "signed" : "bytes",
    others: [
      newTensor(names.scale, scaleDtype, shape),
      ...isSigned ? [] : [newTensor(names.zeroPoint, "F32", shape)],
    ],
    reserved: Object.values(names),
  };
}
