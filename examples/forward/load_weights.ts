/** Loads the tensors of a model, quantized or not, as F32 values. */

import {
  decodeLayer,
  findLayer,
  placeTensors,
  readShape,
  readWidths,
  type StoredTensor,
} from "../../lib/format/compressed_tensors/decode_layer.ts";
import { packedNames } from "../../lib/format/compressed_tensors/plan_checkpoint.ts";
import { type OpenFiles, openFiles } from "../../lib/jobs/open_files.ts";
import { openModel } from "../../lib/model/open_model.ts";
import { decodeFloats, isFloatDtype } from "../../lib/safetensors/dtype.ts";

/** Values by tensor name, row by row. */
export type Weights = ReadonlyMap<string, Float32Array>;

/**
 * Loads the original model, or what a run made of it: the four tensors that stand for a quantized
 * `LAYER.weight` become `LAYER.weight` again, value = (code - zero_point) * scale.
 *
 * @param directory The model's directory.
 * @throws {BadInputError} It is no model, or its packed layers are malformed.
 */
export async function loadWeights(directory: string): Promise<Weights> {
  const model = openModel(directory);
  const files = openFiles(true);
  try {
    const places = placeTensors(model);
    const weights = new Map<string, Float32Array>();
    let bitsOf: ReturnType<typeof readWidths> | undefined;
    for (const [name, stored] of places) {
      if (name.endsWith(".weight_packed")) {
        const layer = name.slice(0, -".weight_packed".length);
        bitsOf ??= readWidths(model);
        weights.set(`${layer}.weight`, await decodeNamed(layer, places, bitsOf, files));
      } else if (!/\.weight_(scale|zero_point|shape)$/.test(name)) {
        weights.set(name, await readFloats(stored, files));
      }
    }
    return weights;
  } finally {
    files.close();
  }
}

async function readFloats(
  { tensor, place }: StoredTensor,
  files: OpenFiles,
): Promise<Float32Array> {
  const { dtype, shape, begin, end } = tensor;
  if (!isFloatDtype(dtype)) throw new TypeError(`Cannot load ${tensor.name}: it is ${dtype}`);
  const bytes = new Uint8Array(end - begin);
  await files.read(place, 0, bytes);
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  decodeFloats(bytes, dtype, values);
  return values;
}

async function decodeNamed(
  name: string,
  places: ReadonlyMap<string, StoredTensor>,
  bitsOf: ReturnType<typeof readWidths>,
  files: OpenFiles,
): Promise<Float32Array> {
  const stored = packedNames(name);
  const [shape, scale] = [places.get(stored.shape), places.get(stored.scale)];
  const original = {
    name: `${name}.weight`,
    dtype: scale?.tensor.dtype ?? "F32",
    shape: shape === undefined ? [] : await readShape(shape, files),
  };
  return await decodeLayer(findLayer(original, places, bitsOf), files);
}
