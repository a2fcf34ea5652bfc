/** Reads compressed-tensors `pack-quantized` checkpoints back. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { packedBytes, unpackZeroPoints } from "../../compute/pack_codes.ts";
import { type Model, modelBytes } from "../../model/open_model.ts";
import { moduleName } from "../../plan/plan_layer.ts";
import type { TensorInfo } from "../../safetensors/header.ts";
import { describeJson, JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { Bits } from "../../types.ts";
import type { Checkpoint, PlaceReader, StoredTensor, WrittenLayer } from "../checkpoint_format.ts";
import {
  centred,
  checkBlocks,
  checkParts,
  failVerify,
  findPart,
  floatDtypeOf,
  placeTensors,
  readFloats,
} from "../read_tensors.ts";
import { packedNames } from "./layer_tensors.ts";

/** How the layers that a config group targets are stored. */
interface Group {
  bits: Bits;
  symmetric: boolean;
}

/**
 * Opens a checkpoint.
 *
 * @throws {BadInputError} Its config.json does not describe a `pack-quantized` checkpoint.
 */
export function readCheckpoint(model: Model): Checkpoint {
  const groupOf = readGroups(model);
  const tensors = placeTensors(model);
  const partsOf = (original: string) => {
    if (tensors.has(original)) return [original];
    const layer = moduleName(original);
    const names = packedNames(layer);
    const zeroPoints = groupOf(layer)?.symmetric ? [] : [names.zeroPoint];
    return [names.packed, names.scale, ...zeroPoints, names.shape];
  };
  return {
    name: model.name,
    format: "compressed-tensors",
    byteLength: modelBytes(model),
    tensors,
    partsOf,
    find(original) {
      const copy = tensors.get(original.name);
      return copy === undefined
        ? { layer: findLayer(original, tensors, groupOf(moduleName(original.name))) }
        : { copy };
    },
  };
}

/** From config.json: how each layer is stored. */
function readGroups(checkpoint: Model): (layer: string) => Group | undefined {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify ${quote(checkpoint.name)}: ${what}`);
  };
  const entry = (value: JsonValue | undefined, key: string) =>
    value instanceof Map ? value.get(key) : undefined;
  const quantization = checkpoint.config?.entries.get("quantization_config") ?? null;
  const format = entry(quantization ?? undefined, "format");
  if (format !== "pack-quantized") {
    fail(
      `the format in its config.json is ${quote(describeJson(format))}, expected "pack-quantized"`,
    );
  }
  const groups = entry(quantization ?? undefined, "config_groups");
  if (!(groups instanceof Map)) return fail("its config.json has no config_groups");
  const targeted = new Map<string, Group>();
  for (const group of groups.values()) {
    const weights = entry(group, "weights");
    const count = entry(weights, "num_bits");
    const bits = count instanceof JsonNumber ? Number(count.text) : NaN;
    if (bits !== 2 && bits !== 4 && bits !== 8) return fail("a num_bits is not 2, 4 or 8");
    const symmetric = entry(weights, "symmetric");
    if (typeof symmetric !== "boolean") return fail("a symmetric is not true or false");
    const targets = entry(group, "targets");
    if (!Array.isArray(targets)) return fail("a config group has no targets");
    for (const target of targets) {
      if (typeof target !== "string") return fail("a target of a config group is not text");
      if (!targeted.has(target)) targeted.set(target, { bits, symmetric });
    }
  }
  return (layer) => targeted.get(layer) ?? targeted.get("Linear");
}

/** The tensors that stand for a weight, checked against it and each other. */
function findLayer(
  original: TensorInfo,
  written: ReadonlyMap<string, StoredTensor>,
  group: Group | undefined,
): WrittenLayer {
  const name = moduleName(original.name);
  const names = packedNames(name);
  const part = (partName: string) => findPart(original, written, partName);
  const [packed, scale] = [part(names.packed), part(names.scale)];
  const { bits, symmetric } = group ?? failVerify(original, "no config group targets it");
  const zeroPoint = symmetric ? undefined : part(names.zeroPoint);
  const [rows = 0, columns = 0] = original.shape;
  const dtype = floatDtypeOf(original);
  const blocks = scale.tensor.shape[1] ?? 0;
  const shape = part(names.shape);
  const zeroPointShape = [packedBytes(rows, bits) / 4, blocks];
  checkParts(original, [
    ["weight_packed", packed, "I32", [rows, packedBytes(columns, bits) / 4]],
    ["weight_scale", scale, original.dtype, [rows, blocks]],
    ...zeroPoint === undefined
      ? []
      : [["weight_zero_point", zeroPoint, "I32", zeroPointShape] as const],
  ]);
  checkBlocks(original, blocks);
  const readParams = async (from: number, count: number, files: PlaceReader) => {
    const scales = await readFloats(scale, from * blocks, count * blocks, files);
    if (zeroPoint === undefined) return centred(scales, bits);
    const words = new Uint8Array(packedBytes(count, bits) * blocks);
    await files.read(zeroPoint.place, packedBytes(from, bits) * blocks, words);
    const zeroPoints = unpackZeroPoints(words, count, blocks, bits);
    return { scale: scales, offset: scales.map((scale, i) => -zeroPoints[i]! * scale) };
  };
  return {
    name,
    bits,
    dtype,
    rows,
    columns,
    blocks,
    codes: packed.place,
    label: scale.place.label,
    packing: "words",
    readParams,
    check: (files) => checkShape(original, shape, files),
  };
}

/**
 * Reads the shape of the weights that a layer stands for: rows and columns.
 *
 * @throws {BadInputError} The tensor holds none.
 */
export async function readShape(
  { tensor, place }: StoredTensor,
  files: PlaceReader,
): Promise<[number, number]> {
  if (tensor.dtype !== "I64" || String(tensor.shape) !== "2") {
    failVerify(tensor, `it is ${tensor.dtype} [${tensor.shape}], expected I64 [2]`);
  }
  const stored = new BigInt64Array(2);
  await files.read(place, 0, new Uint8Array(stored.buffer));
  return [Number(stored[0]), Number(stored[1])];
}

/** Checks the shape that a layer says it has. */
async function checkShape(
  original: TensorInfo,
  shape: StoredTensor,
  files: PlaceReader,
): Promise<void> {
  const stored = await readShape(shape, files);
  const [rows = 0, columns = 0] = original.shape;
  if (stored[0] === rows && stored[1] === columns) return;
  failVerify(original, `its weight_shape is [${stored}], the model has [${rows},${columns}]`);
}
