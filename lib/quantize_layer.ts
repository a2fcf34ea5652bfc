/** One layer through a backend: its time groups are measured, given parameters and encoded. */

import type { Backend, FilePlace, Slice, SliceTarget } from "./backends/backend.ts";
import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";
import { estimateLayerParams, MAX_RANGE } from "./estimate_params.ts";
import { addSums } from "./measure_quality.ts";
import { packedBytes } from "./pack_codes.ts";
import { planTiles } from "./plan_tiles.ts";
import { decodeFloats, floatBytes } from "./safetensors/dtype.ts";
import { openSource } from "./safetensors/read.ts";
import type { LayerPlan, QualitySums, Schedule } from "./types.ts";

/** Weights looked at a time to say what is wrong with them. */
const TILE_ELEMENTS = 2 ** 20;

/** A layer, where it is read and where its codes go. */
export interface LayerJob {
  /** The layer. */
  layer: LayerPlan;
  /** The source shard. */
  source: { path: string; label: string };
  /** First byte of its packed tensor in the output shard. */
  target: FilePlace;
}

/** What became of a layer. */
export interface QuantizedLayer {
  /** Its parameters. */
  schedule: Schedule;
  /** Its energies. */
  sums: QualitySums;
}

/** Rows [from, to) of a layer as a slice. */
function sliceOf(
  { layer, source, target }: LayerJob,
  from: number,
  to: number,
): Slice & SliceTarget {
  const { columns, blockColumns, dtype, bits, tensor } = layer;
  return {
    source: { ...source, begin: tensor.begin + from * columns * floatBytes(dtype) },
    target: { ...target, begin: target.begin + from * packedBytes(columns, bits) },
    dtype,
    rows: to - from,
    columns,
    blockColumns,
    bits,
  };
}

/**
 * Phase baseline: each time group takes the parameters of its own range; those with an all-zero block
 * wait for their neighbours' and are encoded last.
 *
 * @throws {BadInputError} A weight is NaN or infinite, or the range of a block exceeds 2^126.
 */
export async function quantizeLayer(job: LayerJob, backend: Backend): Promise<QuantizedLayer> {
  const { layer } = job;
  const { boundaries, bits, dtype } = layer;
  const blocks = layer.columns / layer.blockColumns;
  const groups = boundaries.length - 1;
  const slices = Array.from(
    { length: groups },
    (_, g) => sliceOf(job, boundaries[g]!, boundaries[g + 1]!),
  );
  const found = await Promise.all(slices.map((slice) => backend.quantize(slice)));
  const lo = new Float32Array(groups * blocks);
  const hi = new Float32Array(groups * blocks);
  for (const [group, ranges] of found.entries()) {
    lo.set(ranges.lo, group * blocks);
    hi.set(ranges.hi, group * blocks);
  }
  for (let i = 0; i < lo.length; i++) {
    if (!(hi[i]! - lo[i]! <= MAX_RANGE)) refuse(job);
  }
  const params = estimateLayerParams(lo, hi, blocks, bits, dtype);
  const sums = await Promise.all(found.map(({ sums }, group) => {
    const [first, last] = [group * blocks, (group + 1) * blocks];
    return sums ?? backend.encode(slices[group]!, {
      scale: params.scale.subarray(first, last),
      zero_point: params.zero_point.subarray(first, last),
    });
  }));
  return { schedule: { starts: boundaries, blocks, ...params }, sums: addSums(sums) };
}

/** Reads a layer again to say what is wrong with it: how many values, and where the first one is. */
function refuse({ layer, source }: LayerJob): never {
  const { rows, columns, dtype, tensor } = layer;
  const counts = { "NaN": 0, "infinite": 0 };
  let first = -1;
  const file = openSource(source.path, source.label);
  try {
    for (const tile of planTiles(0, rows, columns, columns, TILE_ELEMENTS)) {
      const values = new Float32Array(tile.rows * tile.columns);
      const bytes = new Uint8Array(values.length * floatBytes(dtype));
      const start = tile.row * columns + tile.column;
      file.readInto(tensor.begin + start * floatBytes(dtype), bytes);
      decodeFloats(bytes, dtype, values);
      for (let i = 0; i < values.length; i++) {
        if (Number.isFinite(values[i]!)) continue;
        counts[Number.isNaN(values[i]!) ? "NaN" : "infinite"]++;
        if (first < 0) first = start + i;
      }
    }
  } finally {
    file.close();
  }
  const subject = `Cannot quantize tensor ${quote(tensor.name)} in ${quote(source.label)}`;
  const advice = "repair the weights, or leave it out with --ignore";
  if (first < 0) {
    throw new BadInputError(`${subject}: the range of a block exceeds 2^126: ${advice}`);
  }
  const at = `[${Math.floor(first / columns)}, ${first % columns}]`;
  const kinds = Object.entries(counts).filter(([, count]) => count > 0);
  const what = kinds.map(([kind, count]) => `${count} ${kind}`).join(" and ");
  throw new BadInputError(
    `${subject}: ${what} of ${rows * columns} values, the first at ${at}: ${advice}`,
  );
}
