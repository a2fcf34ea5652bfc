/** Decodes a written checkpoint from disk and measures it against the model it was made from. */

import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";
import { addSums, measureQuality, type Quality } from "./measure_quality.ts";
import { type Model, openModel } from "./model/open_model.ts";
import { packedBytes, unpackRow, unpackZeroPoints } from "./pack_codes.ts";
import { packedNames } from "./plan_checkpoint.ts";
import { planTiles, type TilePlan } from "./plan_tiles.ts";
import { decodeFloats, floatBytes, isFloatDtype } from "./safetensors/dtype.ts";
import type { TensorInfo } from "./safetensors/header.ts";
import { type ByteSource, openSource } from "./safetensors/read.ts";
import { JsonNumber, type JsonValue } from "./safetensors/scan_json.ts";
import type { Bits, QualitySums } from "./types.ts";

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

/** A tensor and the open file that holds it. */
interface Place {
  tensor: TensorInfo;
  source: ByteSource;
}

/** The tensors of a quantized layer, checked against each other. */
interface PackedLayer {
  name: string;
  bits: Bits;
  rows: number;
  columns: number;
  blocks: number;
  packed: Place;
  scale: Place;
  zeroPoint: Place;
  original: Place;
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
      const layer = findLayer(name, place, written, bitsOf);
      layers.push({ name: layer.name, sums: await measureLayer(layer, onTile) });
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

function placeTensors(model: Model, sources: ByteSource[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { path, name, tensors } of model.shards) {
    const source = openSource(path, name);
    sources.push(source);
    for (const tensor of tensors) places.set(tensor.name, { tensor, source });
  }
  return places;
}

/** From config.json: the width of each layer's codes. */
function readWidths(checkpoint: Model): (layer: string) => Bits | undefined {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify ${quote(checkpoint.name)}: ${what}`);
  };
  const entry = (value: JsonValue | undefined, key: string) =>
    value instanceof Map ? value.get(key) : undefined;
  const quantization = checkpoint.config?.entries.get("quantization_config");
  if (quantization === undefined) fail("its config.json has no quantization_config");
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

function findLayer(
  tensorName: string,
  original: Place,
  written: Map<string, Place>,
  bitsOf: (layer: string) => Bits | undefined,
): PackedLayer {
  const name = tensorName.replace(/\.weight$/, "");
  const names = packedNames(name);
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot verify tensor ${quote(tensorName)}: ${what}`);
  };
  const part = (partName: string): Place =>
    written.get(partName) ?? fail(`the checkpoint holds neither it nor ${quote(partName)}`);
  const [packed, scale, zeroPoint] = [part(names.packed), part(names.scale), part(names.zeroPoint)];
  const bits = bitsOf(name) ?? fail("no config group targets it");
  const [rows = 0, columns = 0] = original.tensor.shape;
  const blocks = scale.tensor.shape[1] ?? 0;
  const shape = new BigInt64Array(2);
  const stored = part(names.shape);
  if (stored.tensor.dtype !== "I64" || String(stored.tensor.shape) !== "2") {
    fail("its weight_shape is not I64 [2]");
  }
  stored.source.readInto(stored.tensor.begin, new Uint8Array(shape.buffer));
  const expected: [string, Place, string, number[]][] = [
    ["weight_packed", packed, "I32", [rows, packedBytes(columns, bits) / 4]],
    ["weight_scale", scale, original.tensor.dtype, [rows, blocks]],
    ["weight_zero_point", zeroPoint, "I32", [packedBytes(rows, bits) / 4, blocks]],
  ];
  for (const [part, { tensor }, dtype, dimensions] of expected) {
    if (tensor.dtype === dtype && String(tensor.shape) === String(dimensions)) continue;
    fail(`its ${part} is ${tensor.dtype} [${tensor.shape}], expected ${dtype} [${dimensions}]`);
  }
  if (Number(shape[0]) !== rows || Number(shape[1]) !== columns) {
    fail(`its weight_shape is [${shape}], the model has [${rows},${columns}]`);
  }
  if (blocks === 0 || columns % blocks !== 0) {
    fail(`its ${blocks} blocks do not divide ${columns} columns`);
  }
  return { name, bits, rows, columns, blocks, packed, scale, zeroPoint, original };
}

async function measureLayer(
  layer: PackedLayer,
  onTile: (tensor: string, bytes: number) => Promise<void>,
): Promise<QualitySums> {
  const total = { signal: 0, decoded: 0, error: 0 };
  const { rows, columns, blocks } = layer;
  for (const tile of planTiles(0, rows, columns, columns / blocks, TILE_ELEMENTS)) {
    const values = readFloats(layer.original, tile.row * columns + tile.column, tile);
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

function readFloats(
  { tensor, source }: Place,
  first: number,
  { rows, columns }: { rows: number; columns: number },
): Float32Array {
  const values = new Float32Array(rows * columns);
  if (!isFloatDtype(tensor.dtype)) {
    throw new BadInputError(`Cannot verify tensor ${quote(tensor.name)}: it is ${tensor.dtype}`);
  }
  const width = floatBytes(tensor.dtype);
  const bytes = new Uint8Array(values.length * width);
  source.readInto(tensor.begin + first * width, bytes);
  decodeFloats(bytes, tensor.dtype, values);
  return values;
}

/** value = (code - zero_point) * scale, in double precision. */
function decodeTile(layer: PackedLayer, tile: TilePlan): Float64Array {
  const { bits, columns, blocks, packed, zeroPoint } = layer;
  const perWord = 32 / bits;
  const scale = readFloats(layer.scale, tile.row * blocks, { rows: tile.rows, columns: blocks });
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
