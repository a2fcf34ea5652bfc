/** Cuts a layer into the slices that a backend works on. */

import type { BlockRanges } from "../compute/kernels.ts";
import type { EncodeParams, FilePlace, Slice, SliceTarget } from "../jobs/backend.ts";
import { packedBytes } from "../compute/pack_codes.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { LayerPlan, Schedule } from "../types.ts";

/** A layer, where it is read and where its codes go. */
export interface LayerJob {
  /** The layer. */
  layer: LayerPlan;
  /** The source shard. */
  source: { path: string; label: string };
  /** First byte of its packed tensor in the output shard. */
  target: FilePlace;
}

/** Rows [from, to) of a layer as a slice. */
export function sliceRows(
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

/** The time groups of a layer as slices: [G]. */
export function sliceGroups(job: LayerJob): (Slice & SliceTarget)[] {
  const { boundaries } = job.layer;
  return boundaries.slice(1).map((end, g) => sliceRows(job, boundaries[g]!, end));
}

/** The parameters of one time group: [K]. */
export function paramsOfGroup(groups: Omit<Schedule, "starts">, group: number): EncodeParams {
  const [first, last] = [group * groups.blocks, (group + 1) * groups.blocks];
  return {
    scale: groups.scale.subarray(first, last),
    zero_point: groups.zero_point.subarray(first, last),
    code_scale: groups.code_scale?.subarray(first, last),
  };
}

/** The ranges of all slices of a layer, group by group: [G*K]. */
export function joinRanges(found: readonly BlockRanges[]): BlockRanges {
  const blocks = found[0]?.lo.length ?? 0;
  const lo = new Float32Array(found.length * blocks);
  const hi = new Float32Array(lo.length);
  for (const [group, ranges] of found.entries()) {
    lo.set(ranges.lo, group * blocks);
    hi.set(ranges.hi, group * blocks);
  }
  return { lo, hi };
}
