/** Loads the tensors of a model, or of a checkpoint of any format, as F32 values. */

import type { Checkpoint, WrittenCopy } from "../../lib/format/checkpoint_format.ts";
import { packedNames } from "../../lib/format/compressed_tensors/layer_tensors.ts";
import { readShape } from "../../lib/format/compressed_tensors/read_checkpoint.ts";
import { decodeLayer } from "../../lib/format/decode_layer.ts";
import { isCheckpoint, openCheckpoint } from "../../lib/format/open_checkpoint.ts";
import { placeTensors } from "../../lib/format/read_tensors.ts";
import { readRows } from "../../lib/format/row_order.ts";
import { type OpenFiles, openFiles } from "../../lib/jobs/open_files.ts";
import { openModel } from "../../lib/model/open_model.ts";
import { decodeFloats, isFloatDtype } from "../../lib/safetensors/dtype.ts";
import type { TensorInfo } from "../../lib/safetensors/header.ts";

/** Values by tensor name, row by row. */
export type Weights = ReadonlyMap<string, Float32Array>;

/**
 * Loads the original model, or what a run made of it: the tensors that stand for a quantized
 * `LAYER.weight` become `LAYER.weight` again, value = (code - zero_point) * scale.
 *
 * @param directory The model's directory, or the checkpoint's.
 * @param modelDirectory The model that a checkpoint was made from: what its tensors are called and their
 *   shapes. Of compressed-tensors the checkpoint says so itself, and it may be left out.
 * @throws {BadInputError} It is no model, or its quantized layers are malformed.
 */
export async function loadWeights(directory: string, modelDirectory?: string): Promise<Weights> {
  const files = openFiles(true);
  try {
    const checkpoint = isCheckpoint(directory) ? openCheckpoint(directory) : undefined;
    const weights = new Map<string, Float32Array>();
    if (checkpoint === undefined) {
      for (const [name, copy] of placeTensors(openModel(directory))) {
        weights.set(name, await readCopy({ copy }, files));
      }
      return weights;
    }
    const originals = modelDirectory === undefined
      ? await listOriginals(checkpoint, files)
      : [...placeTensors(openModel(modelDirectory)).values()].map(({ tensor }) => tensor);
    for (const original of originals) {
      const found = checkpoint.find(original);
      weights.set(
        original.name,
        "layer" in found ? await decodeLayer(found.layer, files) : await readCopy(found, files),
      );
    }
    return weights;
  } finally {
    files.close();
  }
}

/** The tensors of the model that a compressed-tensors checkpoint was made from. */
async function listOriginals(
  { format, name, tensors }: Checkpoint,
  files: OpenFiles,
): Promise<TensorInfo[]> {
  if (format !== "compressed-tensors") {
    throw new TypeError(`Cannot tell the shapes of the weights of ${name} without its model`);
  }
  const originals: TensorInfo[] = [];
  for (const { tensor } of tensors.values()) {
    const layer = /^(.*)\.weight_packed$/s.exec(tensor.name)?.[1];
    if (layer !== undefined) {
      const names = packedNames(layer);
      const [scale, shape] = [tensors.get(names.scale), tensors.get(names.shape)];
      originals.push({
        ...tensor,
        name: `${layer}.weight`,
        dtype: scale?.tensor.dtype ?? "F32",
        shape: shape === undefined ? [] : await readShape(shape, files),
      });
    } else if (!/\.weight_(scale|zero_point|shape)$/.test(tensor.name)) {
      originals.push(tensor);
    }
  }
  return originals;
}

async function readCopy(
  { copy: { tensor, place }, headRows }: WrittenCopy,
  files: OpenFiles,
): Promise<Float32Array> {
  const { name, dtype, shape, begin, end } = tensor;
  if (!isFloatDtype(dtype)) throw new TypeError(`Cannot load ${name}: it is ${dtype}`);
  const bytes = new Uint8Array(end - begin);
  const rowBytes = bytes.length / Math.max(1, shape[0] ?? 1);
  await readRows(files, { place, rowBytes, headRows, row: 0, column: 0 }, bytes);
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
  decodeFloats(bytes, dtype, values);
  return values;
}
