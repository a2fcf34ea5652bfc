/** Finds the quantized layers of a written checkpoint and decodes their weights, tile by tile. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { Model } from "../../model/open_model.ts";
import { packedBytes, unpackRow, unpackZeroPoints } from "../../compute/pack_codes.ts";
import { packedNames } from "./plan_checkpoint.ts";
import type { TilePlan } from "../../compute/plan_tiles.ts";
import { decodeFloats, floatBytes, isFloatDtype } from "../../safetensors/dtype.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { type ByteSource, openSource } from "../../safetensors/read.ts";
import { JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { Bits } from "../../types.ts";

/** A tensor and the open file that holds it. */
export interface Place {
  tensor: TensorInfo;
  source: ByteSource;
}

/** The tensors of a quantized layer, checked against each other. */
export interface PackedLayer {
  name: string;
  bits: Bits;
  rows: number;
  columns: number;
  /** Blocks side by side in a row. */
  blocks: number;
  packed: Place;
  scale: Place;
  zeroPoint: Place;
}

/**
 * Opens the files of a model.
 *
 * @param sources Receives the open files; the caller closes them, also after an error.
 * @returns Where each tensor lies, in the order of the files.
 */
export function placeTensors(model: Model, sources: ByteSource[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { path, name, tensors } of model.shards) {
    const source = openSource(path, name);
    sources.push(source);
    for (const tensor of tensors) places.set(tensor.name, { tensor, source });
  }
  return places;
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
  written: ReadonlyMap<string, Place>,
  bitsOf: (layer: string) => Bits | undefined,
): PackedLayer {
  const name = original.name.replace(/\.weight$/, "");
  const names = packedNames(name);
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify tensor ${quote(original.name)}: ${what}`);
  };
  const part = (partName: string): Place =>
    written.get(partName) ?? fail(`the checkpoint holds neither it nor ${quote(partName)}`);
  const [packed, scale, zeroPoint] = [part(names.packed), part(names.scale), part(names.zeroPoint)];
  const bits = bitsOf(name) ?? fail("no config group targets it");
  const [rows = 0, columns = 0] = original.shape;
  const blocks = scale.tensor.shape[1] ?? 0;
  const shape = readShape(part(names.shape));
  const expected: [string, Place, string, number[]][] = [
    ["weight_packed", packed, "I32", [rows, packedBytes(columns, bits) / 4]],
    ["weight_scale", scale, original.dtype, [rows, blocks]],
    ["weight_zero_point", zeroPoint, "I32", [packedBytes(rows, bits) / 4, blocks]],
  ];
  for (const [part, { tensor }, dtype, dimensions] of expected) {
    if (tensor.dtype === dtype && String(tensor.shape) === String(dimensions)) continue;
    fail(`its ${part} is ${tensor.dtype} [${tensor.shape}], expected ${dtype} [${dimensions}]`);
  }
  if (shape[0] !== rows || shape[1] !== columns) {
    fail(`its weight_shape is [${shape}], the model has [${rows},${columns}]`);
  }
  if (blocks === 0 || columns % blocks !== 0) {
    fail(`its ${blocks} blocks do not divide ${columns} columns`);
  }
  return { name, bits, rows, columns, blocks, packed, scale, zeroPoint };
}

/**
 * The [rows, columns] that a `weight_shape` holds.
 *
 * @throws {BadInputError} It is not I64 [2].
 */
export function readShape({ tensor, source }: Place): [number, number] {
  if (tensor.dtype !== "I64" || String(tensor.shape) !== "2") {
    throw new BadInputError(
      `Cannot verify tensor ${quote(tensor.name)}: it is ${tensor.dtype} [${tensor.shape}], ` +
        `expected I64 [2]`,
    );
  }
  const shape = new BigInt64Array(2);
  source.readInto(tensor.begin, new Uint8Array(shape.buffer));
  return [Number(shape[0]), Number(shape[1])];
}

/**
 * Reads values of a floating-point tensor.
 *
 * @param first Index of the first one.
 * @param count How many.
 * @throws {BadInputError} The tensor's dtype is not F32, F16 or BF16.
 */
export function readFloats({ tensor, source }: Place, first: number, count: number): Float32Array {
  const values = new Float32Array(count);
  if (!isFloatDtype(tensor.dtype)) {
    throw new BadInputError(`Cannot verify tensor ${quote(tensor.name)}: it is ${tensor.dtype}`);
  }
  const width = floatBytes(tensor.dtype);
  const bytes = new Uint8Array(count * width);
  source.readInto(tensor.begin + first * width, bytes);
  decodeFloats(bytes, tensor.dtype, values);
  return values;
}

/**
 * Decodes a tile of a layer: value = (code - zero_point) * scale, in double precision.
 *
 * @returns [tile.rows, tile.columns], row by row.
 */
export function decodeTile(layer: PackedLayer, tile: TilePlan): Float64Array {
  const { bits, columns, blocks, packed, zeroPoint } = layer;
  const perWord = 32 / bits;
  const scale = readFloats(layer.scale, tile.row * blocks, tile.rows * blocks);
  const firstWord = Math.floor(tile.row / perWord);
  const words = Math.ceil((tile.row + tile.rows) / perWord) - firstWord;
  const zeroBytes = new Uint8Array(words * blocks * 4);
  zeroPoint.source.readInto(zeroPoint.tensor.begin + firstWord * blocks * 4, zeroBytes);
  const zeroPoints = unpackZeroPoints(zeroBytes, words * perWord, blocks, bits);
  const rowBytes = packedBytes(columns, bits);
  const tileBytes = packedBytes(tile.columns, bits);
  const bytes = new Uint8Array(tile.rows * tileBytes);
  packed.source.readInto(
    packed.tensor.begin + tile.row * rowBytes + (tile.column * bits) / 8,
    bytes,
  );
  const codes = new Uint8Array(tile.columns);
  const out = new Float64Array(tile.rows * tile.columns);
  const blockColumns = columns / blocks;
  for (let row = 0; row < tile.rows; row++) {
    unpackRow(bytes.subarray(row * tileBytes, (row + 1) * tileBytes), bits, codes);
    const zeroRow = (tile.row + row - firstWord * perWord) * blocks;
    for (let i = 0; i < tile.columns; i++) {
      const block = Math.floor((tile.column + i) / blockColumns);
      const steps = codes[i]! - zeroPoints[zeroRow + block]!;
      out[row * tile.columns + i] = steps * scale[row * blocks + block]!;
    }
  }
  return out;
}
