/**
 * Lays out the output as plain data, before anything is written: every file, every tensor and its
 * place are known from the headers alone. The format is compressed-tensors `pack-quantized`.
 */

import { packedBytes } from "../../compute/pack_codes.ts";
import { type EncodedHeader, encodeHeader, type NewTensor } from "../../safetensors/header.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { bitsPerElement } from "../../safetensors/dtype.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";

/** A shard to be written. */
export interface ShardPlan {
  /** File name, the same as the source's. */
  name: string;
  /** Header and offsets. */
  header: EncodedHeader;
  /** Layers whose codes go here. */
  layers: LayerPlan[];
  /** Tensors copied byte for byte. */
  copies: TensorInfo[];
  /** Names of all tensors written. */
  tensorNames: string[];
  /** Bytes of all tensors, without the header. */
  tensorBytes: number;
}

/** Names of the four tensors that stand for `LAYER.weight`. */
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

/** The tensors that stand for a layer's weight in the checkpoint. */
export function packedTensors(layer: LayerPlan): NewTensor[] {
  const { rows, columns, bits, scaleDtype, grid: { blockColumns } } = layer;
  const names = packedNames(layer.name);
  const blocks = columns / blockColumns;
  const tensor = (name: string, dtype: string, shape: number[]): NewTensor => ({
    name,
    dtype,
    shape,
    byteLength: shape.reduce((size, n) => size * n, (bitsPerElement(dtype) ?? 0) / 8),
  });
  return [
    tensor(names.packed, "I32", [rows, packedBytes(columns, bits) / 4]),
    tensor(names.scale, scaleDtype, [rows, blocks]),
    tensor(names.zeroPoint, "I32", [packedBytes(rows, bits) / 4, blocks]),
    tensor(names.shape, "I64", [2]),
  ];
}

/** Bytes of the tensors that stand for a layer's weight. */
export function packedSize(layer: LayerPlan): number {
  return packedTensors(layer).reduce((size, { byteLength }) => size + byteLength, 0);
}

/** Bytes of the weight files of a checkpoint. */
export function checkpointBytes(shards: readonly ShardPlan[]): number {
  return shards.reduce((size, { header }) => size + header.byteLength, 0);
}

/**
 * Plans one output shard.
 *
 * @param shard The source shard.
 * @param layers The layers to quantize, of this shard or any other.
 * @throws {BadInputError} Two tensors would share a name, or the header would be too large.
 */
export function planShard(
  shard: {
    name: string;
    tensors: readonly TensorInfo[];
    metadata: ReadonlyMap<string, string> | undefined;
  },
  layers: ReadonlyMap<string, LayerPlan>,
): ShardPlan {
  const own: LayerPlan[] = [];
  const copies: TensorInfo[] = [];
  const tensors = shard.tensors.flatMap((tensor): NewTensor[] => {
    const layer = layers.get(tensor.name);
    if (layer !== undefined) {
      own.push(layer);
      return packedTensors(layer);
    }
    copies.push(tensor);
    const { name, dtype, shape, begin, end } = tensor;
    return [{ name, dtype, shape, byteLength: end - begin }];
  });
  // Loaders of the transformers family refuse a file that does not say where it comes from.
  const header = encodeHeader(tensors, shard.metadata ?? new Map([["format", "pt"]]));
  return {
    name: shard.name,
    header,
    layers: own,
    copies,
    tensorNames: tensors.map(({ name }) => name),
    tensorBytes: header.byteLength - header.bytes.length,
  };
}
