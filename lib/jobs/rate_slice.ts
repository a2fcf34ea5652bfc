/** Measures a slice and rates what each block would lose by other parameters than its own; writes nothing. */

import { type BlockRanges, blocksAcross, MAX_HISTOGRAMS } from "../compute/kernels.ts";
import { estimateLayerParams, estimateScheme, isWithinBounds } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { type BlockRating, rateBlock } from "../params/rate_block.ts";
import {
  listValues,
  measureValues,
  rangeOfCounts,
  type ValueCounts,
} from "../params/read_histogram.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import { BINS, type QualitySums, type Scheme } from "../types.ts";
import { type Desk, fitsInBuffer, halfOver, type OnBytes, readTile, tilesOf } from "./desk.ts";
import { encodeTiles } from "./encode_slice.ts";
import { measureTiles } from "./measure_slice.ts";
import type { Slice } from "./slice.ts";

/** Asks for the blocks of a slice to be rated. */
export interface RateJob extends Scheme {
  verb: "rate";
  /** Its blocks span all rows. */
  slice: Slice;
}

/** A slice that was measured and whose blocks were rated. */
export interface RatedSlice extends BlockRanges {
  /** For each block its candidates, `undefined` where it is all zero; empty where a block is beyond bounds. */
  ratings: (BlockRating | undefined)[];
  /**
   * The values of the slice and how often each occurs, where it is one block of BF16 or F16: enough to
   * know its energies under any parameters.
   */
  values?: ValueCounts;
  /**
   * Energies of the slice with each block quantized with the parameters of its own range; `undefined`
   * where a block is beyond bounds.
   */
  sums: QualitySums | undefined;
}

/** Runs the job. */
export async function rateSlice(job: RateJob, desk: Desk): Promise<RatedSlice> {
  const { slice, bits } = job;
  const { dtype, columns, blockColumns } = slice;
  const blocks = columns / blockColumns;
  const fits = fitsInBuffer(slice);
  const stripes = stripesOf(blocks);
  const passes = dtype === "F32" ? stripes.length + 2 : stripes.length;
  const tell = halfOver(passes, desk.onBytes);
  // A bin of BF16 or F16 is a value, so their ranges follow from the counts.
  const ranges = dtype === "F32"
    ? await measureTiles(slice, desk, tell)
    : { lo: new Float32Array(blocks), hi: new Float32Array(blocks) };
  const { lo, hi } = ranges;
  const ratings: (BlockRating | undefined)[] = [];
  const sums: QualitySums[] = [];
  let values: ValueCounts | undefined;
  let isRefused = false;
  for (const stripe of stripes) {
    // Held only where a pass over all of it, the ranges', has put it there.
    const histograms = await countStripe(slice, stripe, desk, fits && dtype === "F32", tell);
    for (let i = 0; i < stripe.count; i++) {
      const block = stripe.first + i;
      const counts = histograms.subarray(i * BINS, (i + 1) * BINS);
      if (dtype !== "F32") [lo[block], hi[block]] = rangeOfCounts(counts, dtype);
      const range = { lo: lo[block]!, hi: hi[block]! };
      isRefused ||= !isWithinBounds(range);
      if (isRefused) continue;
      ratings.push(
        range.lo < range.hi ? rateBlock(counts, range, dtype, job) : undefined,
      );
      if (dtype === "F32" || range.lo === range.hi) continue;
      values = listValues(counts, dtype);
      sums.push(measureValues(values, estimateScheme(range.lo, range.hi, job), bits));
    }
  }
  if (isRefused) return { ...ranges, ratings: [], sums: undefined };
  // A bin holds many F32 values: their energies take a look at the weights themselves.
  if (dtype === "F32") {
    const params = estimateLayerParams(lo, hi, blocks, job);
    sums.push(await encodeTiles({ slice, bits, params }, desk, fits, tell));
  }
  const known = values !== undefined && blocks === 1 ? { values } : {};
  return { ...ranges, ratings, sums: addSums(sums), ...known };
}

/** Blocks side by side whose histograms are made at once. */
interface Stripe {
  /** The first. */
  first: number;
  /** How many. */
  count: number;
}

/** As few stripes as memory allows. */
function stripesOf(blocks: number): Stripe[] {
  return Array.from({ length: Math.ceil(blocks / MAX_HISTOGRAMS) }, (_, i) => ({
    first: i * MAX_HISTOGRAMS,
    count: Math.min(MAX_HISTOGRAMS, blocks - i * MAX_HISTOGRAMS),
  }));
}

/** Histograms of a stripe: [count * BINS]. */
async function countStripe(
  slice: Slice,
  { first, count }: Stripe,
  desk: Desk,
  isHeld: boolean,
  tell: OnBytes,
): Promise<Uint32Array> {
  const { kernels } = desk;
  await kernels.clearCounts(count);
  for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
    const left = Math.floor(plan.column / slice.blockColumns);
    const from = Math.max(first, left);
    const to = Math.min(first + count, left + blocksAcross(tile));
    if (from < to) {
      const run = { first: from - left, count: to - from, histogram: from - first };
      await kernels.count(await readTile(desk, slice, plan, isHeld), tile, run, isHeld);
    }
    await tell(plan.rows * plan.columns * floatBytes(slice.dtype));
  }
  return await kernels.readCounts(count);
}
