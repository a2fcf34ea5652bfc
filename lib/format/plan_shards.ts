/**
 * Lays out safetensors files as plain data, before anything is written: every file, every tensor and its
 * place are known from the headers alone.
 */

import type { Model } from "../model/open_model.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import { bitsPerElement } from "../safetensors/dtype.ts";
import { encodeHeader, type NewTensor } from "../safetensors/encode_header.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { FilePlan, StoredCopy, StoredLayer } from "./checkpoint_format.ts";
import type { Packing } from "./pack_rows.ts";
import { type ClaimNames, startClaims } from "./claim_names.ts";

/** The tensors that stand for a layer's weight. */
export interface LayerTensors {
  /** That of its codes. */
  codes: NewTensor;
  /** How they are laid out. */
  packing: Packing;
  /** The others. */
  others: NewTensor[];
  /** Names that a loader takes for a part of the layer, whether or not it has that part. */
  reserved: string[];
}

/** Declares a tensor. */
export function newTensor(name: string, dtype: string, shape: number[]): NewTensor {
  const byteLength = shape.reduce((size, n) => size * n, (bitsPerElement(dtype) ?? 0) / 8);
  return { name, dtype, shape, byteLength };
}

/** A file of weights of the source. */
export type SourceShard = Pick<Model["shards"][number], "name" | "tensors" | "metadata">;

/**
 * Plans one output file.
 *
 * @param name Its name.
 * @param shards The source's files whose tensors go there.
 * @param layers The layers to quantize, of these shards or any other, by the names of their tensors.
 * @param store The tensors of a layer.
 * @param claim Takes the names of the checkpoint's tensors.
 * @throws {BadInputError} Two tensors would share a name, or the header would be too large.
 */
export function planShard(
  name: string,
  shards: readonly SourceShard[],
  layers: ReadonlyMap<string, LayerPlan>,
  store: (layer: LayerPlan) => LayerTensors,
  claim: ClaimNames = claimTensors(),
): FilePlan {
  const own: StoredLayer[] = [];
  const copies: StoredCopy[] = [];
  const take = (shard: string, tensor: TensorInfo): NewTensor[] => {
    const layer = layers.get(tensor.name);
    if (layer === undefined) {
      const { name, dtype, shape, begin, end } = tensor;
      claim([name], { tensor: name, shard });
      copies.push({ tensor, shard, name });
      return [{ name, dtype, shape, byteLength: end - begin }];
    }
    const { codes, packing, others, reserved } = store(layer);
    const tensors = [codes, ...others];
    claim([...tensors.map(({ name }) => name), ...reserved], { tensor: tensor.name, shard });
    const byteLength = tensors.reduce((size, { byteLength }) => size + byteLength, 0);
    own.push({ layer, codes: codes.name, packing, byteLength });
    return tensors;
  };
  const tensors = shards.flatMap((shard) =>
    shard.tensors.flatMap((tensor) => take(shard.name, tensor))
  );
  // Loaders of the transformers family refuse a file that does not say where it comes from.
  const metadata = shards[0]?.metadata ?? new Map([["format", "pt"]]);
  return {
    name,
    header: encodeHeader(tensors, metadata),
    layers: own,
    copies,
    tensorNames: tensors.map(({ name }) => name),
  };
}

/** Plans the files of a checkpoint that has the source's own ones. */
export function planShards(
  { shards }: Model,
  layers: readonly LayerPlan[],
  store: (layer: LayerPlan) => LayerTensors,
): FilePlan[] {
  const byTensor = new Map(layers.map((layer) => [layer.tensor.name, layer]));
  const claim = claimTensors();
  return shards.map((shard) => planShard(shard.name, [shard], byTensor, store, claim));
}

function claimTensors(): ClaimNames {
  return startClaims("leave the layer out with --ignore, or rename the other tensor");
}
