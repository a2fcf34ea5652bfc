/**
 * Runs jobs on this thread: reads a slice tile by tile, hands the tiles to kernels, and writes packed
 * rows or rates blocks. Shared by the backends that compute here and in workers.
 */

import { estimateLayerParams, estimateParams, MAX_RANGE } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { packedBytes } from "../compute/pack_codes.ts";
import { planTiles, type TilePlan } from "../compute/plan_tiles.ts";
import { type BlockRange, type BlockRating, rateBlock } from "../params/rate_block.ts";
import {
  BINS,
  listValues,
  measureValues,
  rangeOfCounts,
  type ValueCounts,
} from "../params/read_histogram.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import { type ByteSource, openSource } from "../safetensors/read.ts";
import { type ByteSink, openSink } from "../safetensors/write.ts";
import type { Bits, QualitySums } from "../types.ts";
import type {
  Backend,
  EncodeParams,
  FilePlace,
  OnBytes,
  RatedSlice,
  Slice,
  SliceTarget,
} from "./backend.ts";
import {
  blockCount,
  type BlockParams,
  type BlockRanges,
  blocksAcross,
  type Kernels,
  MAX_HISTOGRAMS,
  SUMS_PER_BLOCK,
  type Tile,
} from "../compute/kernels.ts";
import { rescaleSums } from "../params/rescale_sums.ts";

/** Bytes of a slice kept in memory between two passes over it; a larger one is read again. */
export const SLICE_BYTES = 16 * 2 ** 20;

/** Bytes copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Jobs, one at a time, on this thread. */
export type SliceRunner = Omit<Backend, "name" | "description">;

/** Makes a runner. */
export function createRunner(kernels: Kernels, onBytes: OnBytes): SliceRunner {
  const sources = new Map<string, ByteSource>();
  const sinks = new Map<string, ByteSink>();

  function sourceOf({ path, label }: FilePlace): ByteSource {
    const source = sources.get(path) ?? openSource(path, label);
    sources.set(path, source);
    return source;
  }

  function sinkOf({ path, label }: FilePlace): ByteSink {
    const sink = sinks.get(path) ?? openSink(path, label);
    sinks.set(path, sink);
    return sink;
  }

  /**
   * A tile's bytes: read from the file unless they are held already. The whole slice has its place in
   * the buffer if it is small enough; else each tile takes the place of the one before.
   */
  function tileBytes(slice: Slice, plan: TilePlan, isHeld: boolean): Uint8Array {
    const width = floatBytes(slice.dtype);
    const offset = (plan.row * slice.columns + plan.column) * width;
    const length = plan.rows * plan.columns * width;
    const fits = sliceBytes(slice) <= SLICE_BYTES;
    // Asked for anew for each tile: kernels may move their memory, keeping its content.
    const buffer = kernels.input(fits ? sliceBytes(slice) : length);
    const bytes = fits ? buffer.subarray(offset, offset + length) : buffer;
    if (!isHeld) sourceOf(slice.source).readInto(slice.source.begin + offset, bytes);
    return bytes;
  }

  /** Tells of half of a slice's bytes, in whole bytes, while several passes are made over all of it. */
  function halfOver(passes: number): OnBytes {
    let done = 0;
    let told = 0;
    return (bytes) => {
      done += bytes;
      const before = told;
      told = Math.floor(done / (2 * passes));
      return onBytes(told - before);
    };
  }

  async function measure(slice: Slice, tell: OnBytes): Promise<BlockRanges> {
    const blocks = slice.columns / slice.blockColumns;
    const lo = new Float32Array(blocks);
    const hi = new Float32Array(blocks);
    for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
      const bytes = tileBytes(slice, plan, false);
      const found = await kernels.range(bytes, tile);
      const first = Math.floor(plan.column / slice.blockColumns);
      for (let i = 0; i < found.lo.length; i++) {
        // Math.min and Math.max keep a NaN.
        lo[first + i] = Math.min(lo[first + i]!, found.lo[i]!);
        hi[first + i] = Math.max(hi[first + i]!, found.hi[i]!);
      }
      await tell(bytes.length);
    }
    return { lo, hi };
  }

  /** @param write Takes the packed bytes of each tile; without it they are dropped. */
  async function encode(
    slice: Slice & { bits: Bits },
    params: EncodeParams,
    isHeld: boolean,
    tell: OnBytes,
    write?: (plan: TilePlan, packed: Uint8Array) => void,
  ): Promise<QualitySums> {
    const { bits } = slice;
    let total: QualitySums = { signal: 0, decoded: 0, error: 0 };
    for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
      const bytes = tileBytes(slice, plan, isHeld);
      const { stored, coding } = paramsOfTile(slice, params, plan, tile);
      const isSummed = !params.isKnown;
      const { packed, sums } = await kernels.encode(bytes, tile, bits, coding, isHeld, isSummed);
      write?.(plan, packed);
      if (isSummed) total = addSums([total, ...blockSums(sums, stored, coding.scale)]);
      await tell(bytes.length);
    }
    return total;
  }

  /** Encodes a slice and writes its packed rows. */
  async function encodeTo(
    slice: Slice & SliceTarget,
    params: EncodeParams,
    isHeld: boolean,
  ): Promise<QualitySums> {
    const { bits, target, columns } = slice;
    const rowBytes = packedBytes(columns, bits);
    const sink = sinkOf(target);
    const tell = slice.ownRows ? () => {} : halfOver(1);
    return await encode(slice, params, isHeld, tell, (plan, packed) => {
      sink.write(target.begin + plan.row * rowBytes + (plan.column * bits) / 8, packed);
    });
  }

  /** Histograms of a stripe: [count * BINS]. */
  async function countStripe(
    slice: Slice,
    { first, count }: Stripe,
    isHeld: boolean,
    tell: OnBytes,
  ): Promise<Uint32Array> {
    await kernels.clearCounts(count);
    for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
      const left = Math.floor(plan.column / slice.blockColumns);
      const from = Math.max(first, left);
      const to = Math.min(first + count, left + blocksAcross(tile));
      if (from < to) {
        const run = { first: from - left, count: to - from, histogram: from - first };
        await kernels.count(tileBytes(slice, plan, isHeld), tile, run, isHeld);
      }
      await tell(plan.rows * plan.columns * floatBytes(slice.dtype));
    }
    return await kernels.readCounts(count);
  }

  async function rate(slice: Slice & { bits: Bits }): Promise<RatedSlice> {
    const { dtype, bits, columns, blockColumns } = slice;
    const blocks = columns / blockColumns;
    const fits = sliceBytes(slice) <= SLICE_BYTES;
    const stripes = stripesOf(blocks);
    const tell = halfOver(dtype === "F32" ? stripes.length + 2 : stripes.length);
    // A bin of BF16 or F16 is a value, so their ranges follow from the counts.
    const ranges = dtype === "F32"
      ? await measure(slice, tell)
      : { lo: new Float32Array(blocks), hi: new Float32Array(blocks) };
    const { lo, hi } = ranges;
    const ratings: (BlockRating | undefined)[] = [];
    const sums: QualitySums[] = [];
    let values: ValueCounts | undefined;
    let isRefused = false;
    for (const stripe of stripes) {
      // Held only where a pass over all of it, the ranges', has put it there.
      const histograms = await countStripe(slice, stripe, fits && dtype === "F32", tell);
      for (let i = 0; i < stripe.count; i++) {
        const block = stripe.first + i;
        const counts = histograms.subarray(i * BINS, (i + 1) * BINS);
        if (dtype !== "F32") [lo[block], hi[block]] = rangeOfCounts(counts, dtype);
        const range = { lo: lo[block]!, hi: hi[block]! };
        isRefused ||= !isWithinBounds(range);
        if (isRefused) continue;
        ratings.push(range.lo < range.hi ? rateBlock(counts, range, bits, dtype) : undefined);
        if (dtype === "F32" || range.lo === range.hi) continue;
        values = listValues(counts, dtype);
        sums.push(measureValues(values, estimateParams(range.lo, range.hi, bits, dtype), bits));
      }
    }
    if (isRefused) return { ...ranges, ratings: [], sums: undefined };
    // A bin holds many F32 values: their energies take a look at the weights themselves.
    if (dtype === "F32") {
      const params = estimateLayerParams(lo, hi, blocks, bits, dtype);
      sums.push(await encode(slice, params, fits, tell));
    }
    const known = values !== undefined && blocks === 1 ? { values } : {};
    return { ...ranges, ratings, sums: addSums(sums), ...known };
  }

  return {
    measure: (slice) => measure(slice, halfOver(1)),
    encode: (slice, params) => encodeTo(slice, params, false),
    async quantize(slice) {
      const ranges = await measure(slice, halfOver(1));
      const params = paramsOf(slice, ranges);
      const isHeld = sliceBytes(slice) <= SLICE_BYTES;
      return { ...ranges, sums: params && await encodeTo(slice, params, isHeld) };
    },
    async reencode(slice, before, after) {
      const isHeld = sliceBytes(slice) <= SLICE_BYTES;
      return {
        before: await encode(slice, before, false, () => {}),
        after: await encodeTo(slice, after, isHeld),
      };
    },
    rate,
    async copy({ source, target, byteLength }) {
      const buffer = new Uint8Array(Math.min(COPY_BYTES, byteLength));
      const from = sourceOf(source);
      const to = sinkOf(target);
      for (let done = 0; done < byteLength; done += buffer.length) {
        const bytes = buffer.subarray(0, Math.min(buffer.length, byteLength - done));
        from.readInto(source.begin + done, bytes);
        to.write(target.begin + done, bytes);
        await onBytes(bytes.length);
      }
    },
    close() {
      for (const file of [...sources.values(), ...sinks.values()]) file.close();
      sources.clear();
      sinks.clear();
    },
  };
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

/** Bytes of a slice's weights. */
function sliceBytes(slice: Slice): number {
  return slice.rows * slice.columns * floatBytes(slice.dtype);
}

/** The tiles of a slice, and how each is cut into blocks. */
function* tilesOf(slice: Slice, tileBytes: number): Generator<[TilePlan, Tile]> {
  const { rows, columns, blockColumns, dtype } = slice;
  const most = tileBytes / floatBytes(dtype);
  for (const plan of planTiles(0, rows, columns, blockColumns, most)) {
    yield [plan, {
      dtype,
      rows: plan.rows,
      columns: plan.columns,
      blockRows: slice.ownRows ? 1 : plan.rows,
      blockColumns: Math.min(blockColumns, plan.columns),
    }];
  }
}

/** The parameters of a tile's blocks: the scales to be stored, and what makes the codes. */
function paramsOfTile(
  { columns, blockColumns, ownRows }: Slice,
  { scale, zero_point, code_scale = scale }: EncodeParams,
  plan: TilePlan,
  tile: Tile,
): { stored: Float32Array; coding: BlockParams } {
  const above = ownRows ? plan.row * (columns / blockColumns) : 0;
  const first = above + Math.floor(plan.column / blockColumns);
  const last = first + blockCount(tile);
  return {
    stored: scale.subarray(first, last),
    coding: {
      scale: code_scale.subarray(first, last),
      zero_point: zero_point.subarray(first, last),
    },
  };
}

/** The energies of each block of a tile, from those with its codes' scales. */
function blockSums(
  sums: Float64Array,
  stored: Float32Array,
  coding: Float32Array,
): QualitySums[] {
  return Array.from(stored, (scale, block) => {
    const [signal, decoded, error] = sums.subarray(block * SUMS_PER_BLOCK);
    const made = { signal: signal!, decoded: decoded!, error: error! };
    return rescaleSums(made, scale / coding[block]!);
  });
}

/** Whether a block can be quantized at all. */
function isWithinBounds({ lo, hi }: BlockRange): boolean {
  return hi - lo <= MAX_RANGE;
}

/**
 * The parameters of a slice by its own range, if that is enough: an all-zero block takes its
 * neighbour's, and a range beyond bounds is refused.
 */
function paramsOf(slice: Slice & SliceTarget, { lo, hi }: BlockRanges): BlockParams | undefined {
  for (let i = 0; i < lo.length; i++) {
    if (!(lo[i]! < hi[i]! && isWithinBounds({ lo: lo[i]!, hi: hi[i]! }))) return undefined;
  }
  return estimateLayerParams(lo, hi, lo.length, slice.bits, slice.dtype);
}
