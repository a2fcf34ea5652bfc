/** Makes the models of benchmarks. */

import { join } from "node:path";
import { encodeFloats, floatBytes, type FloatDtype } from "../lib/safetensors/dtype.ts";
import { encodeHeader, type NewTensor } from "../lib/safetensors/encode_header.ts";
import { createFile, openSink } from "../lib/safetensors/write.ts";
import { noise } from "../tests/make_model.ts";

/** A model of layers of one shape. */
export interface Shape {
  layers: number;
  rows: number;
  columns: number;
  dtype: FloatDtype;
}

/** Weights made once and repeated from a different place for each tensor. */
const POOL = 2 ** 21;

/** Writes a model of layers into a directory; gives its number of weights. */
export async function makeLayers(
  directory: string,
  { layers, rows, columns, dtype }: Shape,
): Promise<number> {
  const byteLength = rows * columns * floatBytes(dtype);
  const tensors = Array.from(
    { length: layers },
    (_, i) => ({ name: `layers.${i}.weight`, dtype, shape: [rows, columns], byteLength }),
  );
  await writeWeights(directory, dtype, tensors);
  return layers * rows * columns;
}

/** Writes tensors of one dtype as `model.safetensors`; gives its length in bytes. */
export async function writeWeights(
  directory: string,
  dtype: FloatDtype,
  tensors: readonly NewTensor[],
): Promise<number> {
  const header = encodeHeader(tensors, new Map([["format", "pt"]]));
  const sample = noise(1);
  // Roughly normal, as trained weights are: the sum of three uniform values.
  const pool = encodeFloats(
    Float32Array.from(
      { length: POOL },
      (_, i) => 0.02 * (sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2)),
    ),
    dtype,
  );
  const path = join(directory, "model.safetensors");
  await createFile(path, "model.safetensors", header.byteLength, header.bytes);
  const sink = openSink(path, "model.safetensors");
  for (const [index, { byteLength }] of tensors.entries()) {
    const begin = header.begins[index]!;
    for (let done = 0, from = index * 4096 % pool.length; done < byteLength; from = 0) {
      const part = pool.subarray(from, Math.min(pool.length, from + byteLength - done));
      sink.write(begin + done, part);
      done += part.length;
    }
  }
  sink.close();
  return header.byteLength;
}
