/** One layer, tile by tile, through a backend: first the ranges of its blocks, then its codes. */

import type { Backend, Tile } from "./backends/backend.ts";
import { SUMS_PER_BLOCK } from "./backends/backend.ts";
import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";
import { MAX_RANGE } from "./estimate_params.ts";
import { packedBytes } from "./pack_codes.ts";
import { planTiles, type TilePlan } from "./plan_tiles.ts";
import { decodeFloats, floatBytes } from "./safetensors/dtype.ts";
import type { ByteSource } from "./safetensors/read.ts";
import type { ByteSink } from "./safetensors/write.ts";
import type { LayerPlan, QualitySums, Schedule } from "./types.ts";

/** Bytes of weights in memory at a time. */
const TILE_BYTES = 4 * 2 ** 20;

/** What a layer is read through. */
export interface LayerInput {
  /** The shard, open. */
  source: ByteSource;
  /** What computes. */
  backend: Backend;
  /** Called after each tile with the bytes it had; may wait, or throw to stop the run. */
  onTile: (bytes: number) => Promise<void>;
}

/** Where the packed codes of a layer go. */
export interface LayerOutput {
  /** The output shard, open. */
  sink: ByteSink;
  /** First byte of the packed tensor. */
  begin: number;
}

let buffer = new Uint8Array(0);

/** Reads a tile's rows, which lie one behind the other in the file, into the reused buffer. */
function readTile(layer: LayerPlan, source: ByteSource, tile: TilePlan): Uint8Array {
  if (buffer.length === 0) buffer = new Uint8Array(TILE_BYTES);
  const width = floatBytes(layer.dtype);
  const bytes = buffer.subarray(0, tile.rows * tile.columns * width);
  source.readInto(layer.tensor.begin + (tile.row * layer.columns + tile.column) * width, bytes);
  return bytes;
}

/** The tiles of a run of rows, and how each is cut into blocks that span all its rows. */
function* tilesOf(layer: LayerPlan, from: number, to: number): Generator<[TilePlan, Tile]> {
  const { columns, blockColumns, dtype } = layer;
  const most = TILE_BYTES / floatBytes(dtype);
  for (const plan of planTiles(from, to, columns, blockColumns, most)) {
    const tile = {
      dtype,
      rows: plan.rows,
      columns: plan.columns,
      blockRows: plan.rows,
      blockColumns: Math.min(blockColumns, plan.columns),
    };
    yield [plan, tile];
  }
}

/**
 * The range of each block of each time group.
 *
 * @returns lo and hi, [G*K] each, group by group.
 * @throws {BadInputError} A weight is NaN or infinite, or a block's range exceeds 2^126.
 */
export async function measureRanges(
  layer: LayerPlan,
  input: LayerInput,
): Promise<{ lo: Float32Array; hi: Float32Array }> {
  const blocks = layer.columns / layer.blockColumns;
  const groups = layer.boundaries.length - 1;
  const lo = new Float32Array(groups * blocks);
  const hi = new Float32Array(groups * blocks);
  for (let group = 0; group < groups; group++) {
    const [from, to] = [layer.boundaries[group]!, layer.boundaries[group + 1]!];
    for (const [plan, tile] of tilesOf(layer, from, to)) {
      const bytes = readTile(layer, input.source, plan);
      const found = input.backend.range(bytes, tile);
      const first = group * blocks + Math.floor(plan.column / layer.blockColumns);
      for (let i = 0; i < found.lo.length; i++) {
        const [min, max] = [found.lo[i]!, found.hi[i]!];
        if (!(max - min <= MAX_RANGE)) await refuse(layer, input);
        lo[first + i] = Math.min(lo[first + i]!, min);
        hi[first + i] = Math.max(hi[first + i]!, max);
      }
      await input.onTile(bytes.length);
    }
  }
  for (let i = 0; i < lo.length; i++) {
    if (hi[i]! - lo[i]! > MAX_RANGE) await refuse(layer, input);
  }
  return { lo, hi };
}

/** Reads the layer again to say what is wrong with it: how many values, and where the first one is. */
async function refuse(layer: LayerPlan, input: LayerInput): Promise<never> {
  const counts = { "NaN": 0, "infinite": 0 };
  let first = -1;
  for (const [plan] of tilesOf(layer, 0, layer.rows)) {
    const bytes = readTile(layer, input.source, plan);
    const values = new Float32Array(plan.rows * plan.columns);
    decodeFloats(bytes, layer.dtype, values);
    for (let i = 0; i < values.length; i++) {
      if (Number.isFinite(values[i]!)) continue;
      counts[Number.isNaN(values[i]!) ? "NaN" : "infinite"]++;
      if (first < 0) first = plan.row * layer.columns + plan.column + i;
    }
    await input.onTile(0);
  }
  const subject = `Cannot quantize tensor ${quote(layer.tensor.name)} in ${quote(layer.shard)}`;
  if (first < 0) {
    throw new BadInputError(
      `${subject}: the range of a block exceeds 2^126: repair the weights, or leave it out with --ignore`,
    );
  }
  const at = `[${Math.floor(first / layer.columns)}, ${first % layer.columns}]`;
  const kinds = Object.entries(counts).filter(([, count]) => count > 0);
  const what = kinds.map(([kind, count]) => `${count} ${kind}`).join(" and ");
  throw new BadInputError(
    `${subject}: ${what} of ${layer.rows * layer.columns} values, the first at ${at}: ` +
      "repair the weights, or leave it out with --ignore",
  );
}

/**
 * Quantizes a layer with the parameters of a schedule and writes its packed codes.
 *
 * @returns The energies of the whole layer.
 */
export async function encodeLayer(
  layer: LayerPlan,
  schedule: Schedule,
  input: LayerInput,
  output: LayerOutput,
): Promise<QualitySums> {
  const total = { signal: 0, decoded: 0, error: 0 };
  const rowBytes = packedBytes(layer.columns, layer.bits);
  for (let segment = 0; segment + 1 < schedule.starts.length; segment++) {
    const [from, to] = [schedule.starts[segment]!, schedule.starts[segment + 1]!];
    for (const [plan, tile] of tilesOf(layer, from, to)) {
      const bytes = readTile(layer, input.source, plan);
      const first = segment * schedule.blocks + Math.floor(plan.column / layer.blockColumns);
      const last = first + Math.ceil(tile.columns / tile.blockColumns);
      const { packed, sums } = input.backend.encode(bytes, tile, layer.bits, {
        scale: schedule.scale.subarray(first, last),
        zero_point: schedule.zero_point.subarray(first, last),
      });
      const at = plan.row * rowBytes + (plan.column * layer.bits) / 8;
      output.sink.write(output.begin + at, packed);
      for (let i = 0; i < sums.length; i += SUMS_PER_BLOCK) {
        total.signal += sums[i]!;
        total.decoded += sums[i + 1]!;
        total.error += sums[i + 2]!;
      }
      await input.onTile(bytes.length);
    }
  }
  return total;
}
