/**
 * Lays out safetensors files as plain data, before anything is written: every file, every tensor and its
 * place are known from the headers alone.
 */

import type { Model } from "../model/open_model.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import { bitsPerElement } from "../safetensors/dtype.ts";
import { encodeHeader, type NewTensor } from "../safetensors/encode_header.ts";
import type { FilePlan, StoredCopy, StoredLayer } from "./checkpoint_format.ts";
import type { Packing } from "./pack_rows.ts";
import { type Claims, startClaims } from "./claim_names.ts";

/** The tensors that stand for a layer's weight. */
export interface LayerTensors {
  /** That of its codes. */
  codes: NewTensor;
  /** How they are laid out. */
  packing: Packing;
  /** The others, in an order that tells which is which; the first one is tensor 1 of the layer. */
  others: NewTensor[];
  /** Names that a loader takes for a part of the layer, those of its tensors and of parts that it has not. */
  reserved: string[];
}

/** Declares a tensor. */
export function newTensor(name: string, dtype: string, shape: number[]): NewTensor {
  const byteLength = shape.reduce((size, n) => size * n, (bitsPerElement(dtype) ?? 0) / 8);
  return { name, dtype, shape, byteLength };
}

/** A file of weights of the source. */
export type SourceShard = Pick<Model["shards"][number], "name" | "tensors" | "metadata">;

/** What a checkpoint's files have in common. */
interface Joint {
  /** In which the names of all tensors are taken that stay as they are. */
  claims: Claims;
  /** Whether an index lists its tensors. */
  isListed: boolean;
}

/** A layer whose places are still to come. */
export type PlacedLayer = StoredLayer & { begins: number[] };

/**
 * Says where layers and copies lie that have numbers of tensors for places until the header is laid out. They are not
 * made anew, since there may be a hundred thousand.
 *
 * @param begins First byte of each tensor.
 */
export function fixPlaces(
  layers: PlacedLayer[],
  copies: StoredCopy[],
  begins: Float64Array,
): Pick<FilePlan, "layers" | "copies"> {
  for (const layer of layers) layer.begins.forEach((at, i) => layer.begins[i] = begins[at]!);
  for (const copy of copies) copy.begin = begins[copy.begin]!;
  return { layers, copies };
}

/**
 * Plans one output file.
 *
 * @param name Its name.
 * @param shards The source's files whose tensors go there.
 * @param layers The layers to quantize, of these shards or any other, by the names of their tensors.
 * @param store The tensors of a layer.
 * @throws {BadInputError} Two tensors would share a name, or the header would be too large.
 */
export function planShard(
  name: string,
  shards: readonly SourceShard[],
  layers: ReadonlyMap<string, LayerPlan>,
  store: (layer: LayerPlan) => LayerTensors,
  { claims, isListed }: Joint = { claims: claimCopies(shards, layers), isListed: false },
): FilePlan {
  const tensors: NewTensor[] = [];
  const own: PlacedLayer[] = [];
  const copies: StoredCopy[] = [];
  for (const { name: shard, tensors: originals } of shards) {
    for (const tensor of originals) {
      const layer = layers.get(tensor.name);
      if (layer === undefined) {
        const { name, dtype, shape, begin, end } = tensor;
        copies.push({ tensor, shard, begin: tensors.length });
        tensors.push({ name, dtype, shape, byteLength: end - begin });
        continue;
      }
      const { codes, packing, others, reserved } = store(layer);
      claims.check(reserved, { tensor: tensor.name, shard });
      const byteLength = others.reduce((size, one) => size + one.byteLength, codes.byteLength);
      const begins = [codes, ...others].map((_, i) => tensors.length + i);
      own.push({ layer, packing, byteLength, begins });
      tensors.push(codes, ...others);
    }
  }
  // Loaders of the transformers family refuse a file that does not say where it comes from.
  const metadata = shards[0]?.metadata ?? new Map([["format", "pt"]]);
  const { bytes, begins, byteLength } = encodeHeader(tensors, metadata);
  return {
    name,
    head: bytes,
    byteLength,
    ...fixPlaces(own, copies, begins),
    tensorNames: isListed ? tensors.map(({ name }) => name) : undefined,
  };
}

/** Plans the files of a checkpoint that has the source's own ones. */
export function planShards(
  { shards, index }: Model,
  layers: readonly LayerPlan[],
  store: (layer: LayerPlan) => LayerTensors,
): FilePlan[] {
  const byTensor = new Map(layers.map((layer) => [layer.tensor.name, layer]));
  const joint = { claims: claimCopies(shards, byTensor), isListed: index !== undefined };
  return shards.map((shard) => planShard(shard.name, [shard], byTensor, store, joint));
}

/** Takes the names of all tensors that stay as they are. */
function claimCopies(
  shards: readonly SourceShard[],
  layers: ReadonlyMap<string, LayerPlan>,
): Claims {
  const claims = startClaims("leave the layer out with --ignore, or rename the other tensor");
  for (const { name: shard, tensors } of shards) {
    for (const { name } of tensors) {
      if (!layers.has(name)) claims.claim(name, { tensor: name, shard });
    }
  }
  return claims;
}
