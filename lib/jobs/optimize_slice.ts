/** Chooses the parameters of some columns of a layer, for all time groups together; writes nothing. */

import { type BlockParams, type FoundParams, MAX_HISTOGRAMS } from "../compute/kernels.ts";
import { chooseParams } from "../params/choose_params.ts";
import { estimateLayerParams, estimateScheme, isWithinBounds } from "../params/estimate_params.ts";
import { rateBlock } from "../params/rate_block.ts";
import { createRatingRoom, type RatingRoom } from "../params/rating_room.ts";
import { measureBins, type UsedBins } from "../params/read_histogram.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import { middleOf, type QualitySums, type Scheme } from "../types.ts";
import { type Desk, halfOver } from "./desk.ts";
import { type BlockSpan, createValueReader } from "./read_values.ts";
import type { Slice } from "./slice.ts";

/** Asks for the parameters of some columns of a layer. */
export interface OptimizeJob extends Scheme {
  verb: "optimize";
  /** All rows of the layer, and whole blocks. */
  slice: Slice;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  bands: number[];
  /** Cost of a jump of 1, in units of the least error a block can have. */
  weight: number;
}

/** Parameters of blocks, group by group: [G*K]. */
export interface OptimizedSlice {
  /** The choice; 1 and the code of 0 where a block is all zero in every time group. */
  params: FoundParams;
  /** Those of the blocks' own ranges. */
  own: BlockParams;
  /** The energies of each block with its own ones: [G*K]; `undefined` for F32, whose bins hold many values. */
  ownSums: EnergyColumns | undefined;
  /** The energies of each time group with the choice: [G], where it is one block of BF16 or F16. */
  sums: QualitySums[] | undefined;
}

/** Energies as columns. */
export interface EnergyColumns {
  /** See {@linkcode QualitySums}. */
  signal: Float64Array;
  /** See {@linkcode QualitySums}. */
  decoded: Float64Array;
  /** See {@linkcode QualitySums}. */
  error: Float64Array;
}

/** Blocks of time groups whose candidates are in memory at once: each takes a kilobyte or two. */
const RATED_AT_ONCE = 2 ** 11;

/** Values of time groups that are kept until their parameters are chosen: beyond them energies take another look. */
const VALUES_KEPT = 2 ** 20;

/** Bytes of weights that a job looks at several times, and so holds. */
const HELD_BYTES = 4 * 2 ** 20;

/** Blocks that are looked at together: so few that the candidates of all time groups have room. */
function blocksAtOnce(groups: number): number {
  return Math.min(MAX_HISTOGRAMS, Math.max(1, Math.floor(RATED_AT_ONCE / groups)));
}

function cutSpans(blocks: number, most: number): BlockSpan[] {
  return Array.from({ length: Math.ceil(blocks / most) }, (_, i) => ({
    first: i * most,
    count: Math.min(most, blocks - i * most),
  }));
}

/** The blocks of a layer in runs that a job takes: those looked at together, or as many more as can be held. */
export function cutBlocks(
  { rows, columns, blockColumns, dtype }: Pick<
    Slice,
    "rows" | "columns" | "blockColumns" | "dtype"
  >,
  groups: number,
): BlockSpan[] {
  const held = Math.floor(HELD_BYTES / (rows * blockColumns * floatBytes(dtype)));
  return cutSpans(columns / blockColumns, Math.max(blocksAtOnce(groups), held));
}

/** The room of each desk, which has one job at a time. */
const rooms = new WeakMap<Desk, RatingRoom>();

function roomOf(desk: Desk): RatingRoom {
  const room = rooms.get(desk) ?? createRatingRoom();
  rooms.set(desk, room);
  return room;
}

/** Runs the job; `undefined` where a block cannot be quantized. */
export async function optimizeSlice(
  job: OptimizeJob,
  desk: Desk,
): Promise<OptimizedSlice | undefined> {
  const { slice, bands, bits, symmetric, weight } = job;
  const { dtype } = slice;
  const blocks = slice.columns / slice.blockColumns;
  const groups = bands.length - 1;
  const size = groups * blocks;
  const [lo, hi] = [new Float32Array(size), new Float32Array(size)];
  const params = {
    scale: new Float32Array(size).fill(1),
    code_scale: new Float32Array(size).fill(1),
    zero_point: new Uint8Array(size).fill(symmetric ? middleOf(bits) : 0),
  };
  const ownSums = dtype === "F32" ? undefined : {
    signal: new Float64Array(size),
    decoded: new Float64Array(size),
    error: new Float64Array(size),
  };
  /** Of each time group, where it is one block. */
  let values: UsedBins[] | undefined = blocks === 1 && dtype !== "F32" ? [] : undefined;
  let kept = 0;
  const spans = cutSpans(blocks, blocksAtOnce(groups));
  const reading = { slice, bands, isReadAgain: spans.length > 1 };
  const read = createValueReader(reading, desk, halfOver(1, desk.onBytes));
  const room = roomOf(desk);
  for (const span of spans) {
    room.clear();
    /** Where the candidates of each block lie: [G]; nowhere where it is all zero. */
    const ratings = Array.from(
      { length: span.count },
      () => ({ begin: new Uint32Array(groups), end: new Uint32Array(groups) }),
    );
    for (let group = 0; group < groups; group++) {
      for (const [i, { bins, ...range }] of (await read(group, span)).entries()) {
        if (!isWithinBounds(range)) return undefined;
        const at = group * blocks + span.first + i;
        [lo[at], hi[at]] = [range.lo, range.hi];
        const isZero = range.lo === range.hi;
        const { begin, end } = ratings[i]!;
        begin[group] = room.used();
        if (!isZero) room.keep(rateBlock(bins, range, dtype, job));
        end[group] = room.used();
        if (dtype === "F32") continue;
        kept += bins.bin.length;
        if (kept > VALUES_KEPT) values = undefined;
        values?.push({ bin: bins.bin.slice(), count: bins.count.slice() });
        if (isZero) continue;
        const own = estimateScheme(range.lo, range.hi, job);
        const { signal, decoded, error } = measureBins(bins, dtype, own, bits);
        ownSums!.signal[at] = signal;
        ownSums!.decoded[at] = decoded;
        ownSums!.error[at] = error;
      }
    }
    const candidates = room.look();
    for (const [i, ofBlock] of ratings.entries()) {
      const chosen = chooseParams({ ...candidates, ...ofBlock }, bits, weight);
      for (let group = 0; group < chosen.length; group++) {
        const at = group * blocks + span.first + i;
        params.scale[at] = candidates.scale[chosen[group]!]!;
        params.code_scale[at] = candidates.code_scale[chosen[group]!]!;
        params.zero_point[at] = candidates.zero_point[chosen[group]!]!;
      }
    }
  }
  const sums = values?.map((bins, group) =>
    measureBins(bins, dtype as "BF16" | "F16", {
      scale: params.scale[group]!,
      code_scale: params.code_scale[group]!,
      zero_point: params.zero_point[group]!,
    }, bits)
  );
  return { params, own: estimateLayerParams(lo, hi, blocks, job), ownSums, sums };
}
