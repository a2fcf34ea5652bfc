/** Decodes a written checkpoint from disk and measures it against the model it was made from. */

import {
  decodeTile,
  findLayer,
  type PackedLayer,
  type Place,
  placeTensors,
  readFloats,
  readWidths,
} from "../format/compressed_tensors/decode_layer.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { addSums, measureQuality, type Quality } from "../params/measure_quality.ts";
import { openModel } from "../model/open_model.ts";
import { planTiles } from "../compute/plan_tiles.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { ByteSource } from "../safetensors/read.ts";
import type { QualitySums } from "../types.ts";

/** Elements decoded at a time. */
const TILE_ELEMENTS = 2 ** 20;

/** Quality of a checkpoint as decoded from disk. */
export interface Verification extends Quality {
  /** Name of the checkpoint. */
  model_name: string;
  /** Quality of each quantized layer, in the order of the files. */
  layers: ({ name: string } & Quality)[];
  /** Tensors that are equal to the model's, byte for byte. */
  copied_tensor_count: number;
}

/**
 * Verifies a checkpoint.
 *
 * @param checkpointPath Directory written by a run.
 * @param modelPath The model it was made from.
 * @param onTile Called now and then with the layer at work; may wait, or throw to stop.
 * @throws {BadInputError} The checkpoint is malformed, or does not hold the model's tensors.
 */
export async function verifyCheckpoint(
  checkpointPath: string,
  modelPath: string,
  onTile: (tensor: string, bytes: number) => Promise<void> = () => Promise.resolve(),
): Promise<Verification> {
  const checkpoint = openModel(checkpointPath);
  const model = openModel(modelPath);
  const bitsOf = readWidths(checkpoint);
  const sources: ByteSource[] = [];
  try {
    const written = placeTensors(checkpoint, sources);
    const originals = placeTensors(model, sources);
    const layers: { name: string; sums: QualitySums }[] = [];
    let copies = 0;
    for (const [name, place] of originals) {
      const copy = written.get(name);
      if (copy !== undefined) {
        await compareTensor(name, place, copy, onTile);
        copies++;
        continue;
      }
      const layer = findLayer(place.tensor, written, bitsOf);
      layers.push({ name: layer.name, sums: await measureLayer(layer, place, onTile) });
    }
    refuseStrangers(written, originals);
    return {
      model_name: checkpoint.name,
      ...measureQuality(addSums(layers.map(({ sums }) => sums))),
      layers: layers.map(({ name, sums }) => ({ name, ...measureQuality(sums) })),
      copied_tensor_count: copies,
    };
  } finally {
    for (const source of sources) source.close();
  }
}

async function measureLayer(
  layer: PackedLayer,
  original: Place,
  onTile: (tensor: string, bytes: number) => Promise<void>,
): Promise<QualitySums> {
  const total = { signal: 0, decoded: 0, error: 0 };
  const { rows, columns, blocks } = layer;
  for (const tile of planTiles(0, rows, columns, columns / blocks, TILE_ELEMENTS)) {
    const values = readFloats(
      original,
      tile.row * columns + tile.column,
      tile.rows * tile.columns,
    );
    const decoded = decodeTile(layer, tile);
    for (let i = 0; i < values.length; i++) {
      const [x, v] = [values[i]!, decoded[i]!];
      total.signal += x * x;
      total.decoded += v * v;
      total.error += (x - v) * (x - v);
    }
    await onTile(layer.name, values.byteLength);
  }
  return total;
}

async function compareTensor(
  name: string,
  original: Place,
  copy: Place,
  onTile: (tensor: string, bytes: number) => Promise<void>,
): Promise<void> {
  const { tensor } = original;
  const fail = (what: string): never => {
    throw new BadInputError(`Verification failed: tensor ${quote(name)} ${what}`);
  };
  const describe = ({ dtype, shape }: TensorInfo) => `${dtype} [${shape}]`;
  if (describe(tensor) !== describe(copy.tensor)) {
    fail(`is ${describe(copy.tensor)}, the model has ${describe(tensor)}`);
  }
  const size = Math.min(TILE_ELEMENTS, tensor.end - tensor.begin);
  const [left, right] = [new Uint8Array(size), new Uint8Array(size)];
  for (let at = 0; at < tensor.end - tensor.begin; at += size) {
    const count = Math.min(size, tensor.end - tensor.begin - at);
    original.source.readInto(tensor.begin + at, left.subarray(0, count));
    copy.source.readInto(copy.tensor.begin + at, right.subarray(0, count));
    for (let i = 0; i < count; i++) {
      if (left[i] !== right[i]) fail(`differs from the model's at byte ${at + i}`);
    }
    await onTile(name, count);
  }
}

/** Every tensor of the checkpoint stands for one of the model. */
function refuseStrangers(written: Map<string, Place>, originals: Map<string, Place>): void {
  for (const name of written.keys()) {
    const layer = name.replace(/\.weight_(packed|scale|zero_point|shape)$/, ".weight");
    if (originals.has(name) || originals.has(layer)) continue;
    throw new BadInputError(`Verification failed: the model has no tensor ${quote(name)}`);
  }
}
