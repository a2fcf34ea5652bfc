/** Finds the quantized layers of a written checkpoint, and reads their parameters. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { BlockParams } from "../../compute/kernels.ts";
import { packedBytes, unpackRow, unpackZeroPoints } from "../../compute/pack_codes.ts";
import type { OpenFiles } from "../../jobs/open_files.ts";
import type { FilePlace } from "../../jobs/slice.ts";
import type { Model } from "../../model/open_model.ts";
import {
  decodeFloats,
  floatBytes,
  type FloatDtype,
  isFloatDtype,
} from "../../safetensors/dtype.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { Bits } from "../../types.ts";
import { packedNames } from "./plan_checkpoint.ts";

/** A tensor and where it lies. */
export interface StoredTensor {
  /** Name, dtype and shape. */
  tensor: TensorInfo;
  /** Its first byte. */
  place: FilePlace;
}

/** The tensors of a quantized layer, checked against each other. */
export interface PackedLayer {
  /** Module name. */
  name: string;
  /** Width of a code. */
  bits: Bits;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Dtype of the weights it stands for, and of its scales. */
  dtype: FloatDtype;
  /** Blocks side by side in a row. */
  blocks: number;
  /** Codes. */
  packed: StoredTensor;
  /** Scales. */
  scale: StoredTensor;
  /** Zero points. */
  zeroPoint: StoredTensor;
  /** The shape of the weights. */
  shape: StoredTensor;
}

/** Where each tensor of a model lies, in the order of the files. */
export function placeTensors(model: Model): Map<string, StoredTensor> {
  return new Map(
    model.shards.flatMap(({ path, name: label, tensors }) =>
      tensors.map((tensor): [string, StoredTensor] => [
        tensor.name,
        { tensor, place: { path, label, begin: tensor.begin } },
      ])
    ),
  );
}

/**
 * From config.json: the width of each layer's codes.
 *
 * @throws {BadInputError} It does not describe a `pack-quantized` checkpoint.
 */
export function readWidths(checkpoint: Model): (layer: string) => Bits | undefined {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify ${quote(checkpoint.name)}: ${what}`);
  };
  const entry = (value: JsonValue | undefined, key: string) =>
    value instanceof Map ? value.get(key) : undefined;
  const quantization = checkpoint.config?.entries.get("quantization_config") ?? null;
  if (quantization === null) fail("its config.json has no quantization_config");
  const format = entry(quantization, "format");
  if (format !== "pack-quantized") {
    fail(`the format in its config.json is ${quote(String(format))}, expected "pack-quantized"`);
  }
  const groups = entry(quantization, "config_groups");
  if (!(groups instanceof Map)) return fail("its config.json has no config_groups");
  const widths: { target: string; bits: Bits }[] = [];
  for (const group of groups.values()) {
    const count = entry(entry(group, "weights"), "num_bits");
    const bits = count instanceof JsonNumber ? Number(count.text) : NaN;
    if (bits !== 2 && bits !== 4 && bits !== 8) return fail("a num_bits is not 2, 4 or 8");
    const targets = entry(group, "targets");
    if (!Array.isArray(targets)) return fail("a config group has no targets");
    for (const target of targets) widths.push({ target: String(target), bits });
  }
  return (layer) =>
    (widths.find(({ target }) => target === layer) ??
      widths.find(({ target }) => target === "Linear"))?.bits;
}

/**
 * Finds the tensors that stand for a weight.
 *
 * @param original The weight they stand for: its name, dtype and shape [rows, columns].
 * @param written The checkpoint's tensors.
 * @throws {BadInputError} One of them is missing, or they do not fit the weight or each other.
 */
export function findLayer(
  original: { name: string; dtype: string; shape: readonly number[] },
  written: ReadonlyMap<string, StoredTensor>,
  bitsOf: (layer: string) => Bits | undefined,
): PackedLayer {
  const name = original.name.replace(/\.weight$/, "");
  const names = packedNames(name);
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify tensor ${quote(original.name)}: ${what}`);
  };
  const part = (partName: string): StoredTensor =>
    written.get(partName) ?? fail(`the checkpoint holds neither it nor ${quote(partName)}`);
  const [packed, scale, zeroPoint] = [part(names.packed), part(names.scale), part(names.zeroPoint)];
  const bits = bitsOf(name) ?? fail("no config group targets it");
  const [rows = 0, columns = 0] = original.shape;
  const { dtype } = original;
  if (!isFloatDtype(dtype)) return fail(`it is ${dtype}`);
  const blocks = scale.tensor.shape[1] ?? 0;
  const shape = part(names.shape);
  const expected: [string, StoredTensor, string, number[]][] = [
    ["weight_packed", packed, "I32", [rows, packedBytes(columns, bits) / 4]],
    ["weight_scale", scale, original.dtype, [rows, blocks]],
    ["weight_zero_point", zeroPoint, "I32", [packedBytes(rows, bits) / 4, blocks]],
  ];
  for (const [part, { tensor }, dtype, dimensions] of expected) {
    if (tensor.dtype === dtype && String(tensor.shape) === String(dimensions)) continue;
    fail(`its ${part} is ${tensor.dtype} [${tensor.shape}], expected ${dtype} [${dimensions}]`);
  }
  if (blocks === 0 || columns % blocks !== 0) {
    fail(`its ${blocks} blocks do not divide ${columns} columns`);
  }
  return { name, bits, rows, columns, dtype, blocks, packed, scale, zeroPoint, shape };
}

/**
 * The [rows, columns] that a `weight_shape` holds.
 *
 * @throws {BadInputError} It is not I64 [2].
 */
export async function readShape(
  { tensor, place }: StoredTensor,
  files: OpenFiles,
): Promise<[number, number]> {
  if (tensor.dtype !== "I64" || String(tensor.shape) !== "2") {
    throw new BadInputError(
      `Cannot verify tensor ${quote(tensor.name)}: it is ${tensor.dtype} [${tensor.shape}], ` +
        `expected I64 [2]`,
    );
  }
  const shape = new BigInt64Array(2);
  await files.read(place, 0, new Uint8Array(shape.buffer));
  return [Number(shape[0]), Number(shape[1])];
}

/**
 * Checks the shape that a layer says it has.
 *
 * @throws {BadInputError} It is not that of the weights.
 */
export async function checkShape(
  { name, rows, columns, shape }: PackedLayer,
  files: OpenFiles,
): Promise<void> {
  const stored = await readShape(shape, files);
  if (stored[0] === rows && stored[1] === columns) return;
  throw new BadInputError(
    `Cannot verify tensor ${quote(`${name}.weight`)}: its weight_shape is [${stored}], ` +
      `the model has [${rows},${columns}]`,
  );
}

/**
 * Reads the parameters of some rows of a layer.
 *
 * @param from First row, a multiple of what `wholeWordRows` gives.
 * @returns [count * blocks] row by row.
 */
export async function readParams(
  { bits, dtype, blocks, scale, zeroPoint }: PackedLayer,
  from: number,
  count: number,
  files: OpenFiles,
): Promise<BlockParams> {
  const width = floatBytes(dtype);
  const scaleBytes = new Uint8Array(count * blocks * width);
  await files.read(scale.place, from * blocks * width, scaleBytes);
  const scales = new Float32Array(count * blocks);
  decodeFloats(scaleBytes, dtype, scales);
  const words = new Uint8Array(packedBytes(count, bits) * blocks);
  await files.read(zeroPoint.place, packedBytes(from, bits) * blocks, words);
  return { scale: scales, zero_point: unpackZeroPoints(words, count, blocks, bits) };
}

/**
 * Reads a whole layer and decodes it: value = (code - zero_point) * scale.
 *
 * @returns [rows, columns] row by row.
 */
export async function decodeLayer(layer: PackedLayer, files: OpenFiles): Promise<Float32Array> {
  const { rows, columns, bits, blocks, packed } = layer;
  const { scale, zero_point } = await readParams(layer, 0, rows, files);
  const rowBytes = packedBytes(columns, bits);
  const bytes = new Uint8Array(rows * rowBytes);
  await files.read(packed.place, 0, bytes);
  const codes = new Uint8Array(columns);
  const values = new Float32Array(rows * columns);
  const blockColumns = columns / blocks;
  for (let row = 0; row < rows; row++) {
    unpackRow(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), bits, codes);
    for (let column = 0; column < columns; column++) {
      const block = row * blocks + Math.floor(column / blockColumns);
      values[row * columns + column] = (codes[column]! - zero_point[block]!) * scale[block]!;
    }
  }
  return values;
}
