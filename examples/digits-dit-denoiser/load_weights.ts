/** Loads the tensors of a model, quantized or not, as F32 values. */

import {
  decodeTile,
  findLayer,
  type Place,
  placeTensors,
  readFloats,
  readShape,
  readWidths,
} from "../../lib/format/compressed_tensors/decode_layer.ts";
import { openModel } from "../../lib/model/open_model.ts";
import { packedNames } from "../../lib/format/compressed_tensors/plan_checkpoint.ts";
import type { ByteSource } from "../../lib/safetensors/read.ts";

/** Values by tensor name, row by row. */
export type Weights = ReadonlyMap<string, Float32Array>;

/**
 * Loads the original model, or what a run made of it: the four tensors that stand for a quantized
 * `LAYER.weight` become `LAYER.weight` again, value = (code - zero_point) * scale.
 *
 * @param directory The model's directory.
 * @throws {BadInputError} It is no model, or its packed layers are malformed.
 */
export function loadWeights(directory: string): Weights {
  const model = openModel(directory);
  const sources: ByteSource[] = [];
  try {
    const places = placeTensors(model, sources);
    const weights = new Map<string, Float32Array>();
    let bitsOf: ReturnType<typeof readWidths> | undefined;
    for (const [name, place] of places) {
      if (name.endsWith(".weight_packed")) {
        const layer = name.slice(0, -".weight_packed".length);
        bitsOf ??= readWidths(model);
        weights.set(`${layer}.weight`, decodeLayer(layer, places, bitsOf));
      } else if (!/\.weight_(scale|zero_point|shape)$/.test(name)) {
        const size = place.tensor.shape.reduce((product, n) => product * n, 1);
        weights.set(name, readFloats(place, 0, size));
      }
    }
    return weights;
  } finally {
    for (const source of sources) source.close();
  }
}

function decodeLayer(
  name: string,
  places: ReadonlyMap<string, Place>,
  bitsOf: ReturnType<typeof readWidths>,
): Float32Array {
  const stored = packedNames(name);
  const [shape, scale] = [places.get(stored.shape), places.get(stored.scale)];
  const original = {
    name: `${name}.weight`,
    dtype: scale?.tensor.dtype ?? "F32",
    shape: shape === undefined ? [] : readShape(shape),
  };
  const layer = findLayer(original, places, bitsOf);
  const { rows, columns } = layer;
  return Float32Array.from(decodeTile(layer, { row: 0, rows, column: 0, columns }));
}
