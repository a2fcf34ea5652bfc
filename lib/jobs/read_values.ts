/** Reads which values the blocks of a layer's time groups have and how often, a few blocks at a time. */

import { type BlockRanges, blocksAcross, type Tile } from "../compute/kernels.ts";
import type { TilePlan } from "../compute/plan_tiles.ts";
import type { BlockRange } from "../params/rate_block.ts";
import { listBins, rangeOfBins, sortBins, type UsedBins } from "../params/read_histogram.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import { BINS } from "../types.ts";
import { type Desk, fitsInBuffer, type OnBytes, readAlone, readTile, tilesOf } from "./desk.ts";
import { measureTiles } from "./measure_slice.ts";
import type { Slice } from "./slice.ts";

/** Weights of a block up to which sorting them costs less than a histogram of all bins. */
const SORTED_WEIGHTS = 2 ** 11;

/** What a block holds: its range, NaN where it cannot be quantized, and its values. */
export interface BlockValues extends BlockRange {
  /** How often they occur. */
  bins: UsedBins;
}

/** Blocks that lie side by side. */
export interface BlockSpan {
  /** The first. */
  first: number;
  /** How many. */
  count: number;
}

/** What is read. */
export interface Reading {
  /** All rows, and whole blocks. */
  slice: Slice;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  bands: readonly number[];
  /** Whether each time group is read several times, each time for other blocks. */
  isReadAgain: boolean;
}

/** Reads some blocks of a time group; what it gives is of use until the next ones are read. */
export type ValueReader = (group: number, span: BlockSpan) => Promise<BlockValues[]>;

/**
 * Makes a reader. What is read again is held in the kernels' buffer if it is small enough.
 *
 * @param tell Told of the bytes of the blocks that were read.
 */
export function createValueReader(
  { slice, bands, isReadAgain }: Reading,
  desk: Desk,
  tell: OnBytes,
): ValueReader {
  const { dtype, columns, blockColumns, stride = columns, source } = slice;
  const width = floatBytes(dtype);
  const holdsAll = isReadAgain && fitsInBuffer(slice);
  /** The ranges of a time group's blocks. */
  const measured = new Map<number, BlockRanges>();
  /** [G] 1: the time group is in the buffer. */
  const held = new Uint8Array(bands.length - 1);
  const room: SortingRoom = { words: new Uint16Array(0), counts: new Uint32Array(0) };

  return async (group, span) => {
    const [from, to] = [bands[group]!, bands[group + 1]!];
    const rows = to - from;
    const begin = source.begin + from * stride * width;
    const band = { ...slice, source: { ...source, begin }, rows, blockRows: rows, stride };
    const place = holdsAll ? from * columns * width : 0;
    let ranges = measured.get(group);
    let isMeasured = false;
    // A bin of BF16 or F16 is a value, so their ranges follow from the counts.
    if (dtype === "F32" && ranges === undefined) {
      ranges = await measureTiles(band, desk, () => {}, place);
      if (isReadAgain) measured.set(group, ranges);
      isMeasured = fitsInBuffer(band);
    }
    const isHeld = isMeasured || held[group] === 1;
    if (holdsAll) held[group] = 1;
    const counter = rows * blockColumns > SORTED_WEIGHTS
      ? await countBlocks(desk, band, span, isMeasured)
      : sortBlocks(band, span, room);
    for (const [plan, tile] of tilesOf(band, desk.kernels.tileBytes)) {
      const left = Math.floor(plan.column / blockColumns);
      const first = Math.max(span.first, left);
      const last = Math.min(span.first + span.count, left + blocksAcross(tile));
      const isWanted = first < last;
      // What is held has to be there for the blocks that are asked for next.
      if (!isWanted && (isHeld || !holdsAll)) continue;
      const bytes = isHeld || holdsAll
        ? await readTile(desk, band, plan, isHeld, place)
        : await readAlone(desk, band, plan);
      if (!isWanted) continue;
      await counter.add(bytes, plan, tile, { first: first - left, count: last - first });
      await tell(plan.rows * (plan.columns / blocksAcross(tile)) * (last - first) * width);
    }
    const found = await counter.list();
    return found.map((bins, i): BlockValues => {
      if (dtype !== "F32") {
        const [lo, hi] = rangeOfBins(bins, dtype);
        return { bins, lo, hi };
      }
      return { bins, lo: ranges!.lo[span.first + i]!, hi: ranges!.hi[span.first + i]! };
    });
  };
}

/** Takes the blocks of a time group, tile by tile. */
interface Counter {
  /**
   * Adds some blocks of a tile.
   *
   * @param part Of the tile's blocks.
   */
  add(bytes: Uint8Array, plan: TilePlan, tile: Tile, part: BlockSpan): Promise<void> | void;
  /** The values of each block. */
  list(): Promise<UsedBins[]> | UsedBins[];
}

/** Blocks of many weights: their histograms are counted. */
async function countBlocks(
  { kernels }: Desk,
  { blockColumns }: Slice,
  span: BlockSpan,
  isHeld: boolean,
): Promise<Counter> {
  await kernels.clearCounts(span.count);
  return {
    async add(bytes, { column }, tile, part) {
      const histogram = Math.floor(column / blockColumns) + part.first - span.first;
      await kernels.count(bytes, tile, { ...part, histogram }, isHeld);
    },
    async list() {
      const counts = await kernels.readCounts(span.count);
      return Array.from(
        { length: span.count },
        (_, i) => listBins(counts.subarray(i * BINS, (i + 1) * BINS)),
      );
    },
  };
}

/** Where blocks are sorted, used again for the next ones: arrays of their own would be collected late. */
interface SortingRoom {
  words: Uint16Array;
  counts: Uint32Array;
}

/** Blocks of few weights: they are gathered, and sorted. */
function sortBlocks(
  { rows, blockColumns, dtype }: Slice,
  span: BlockSpan,
  room: SortingRoom,
): Counter {
  const weights = rows * blockColumns;
  const size = span.count * weights;
  if (room.words.length < size) {
    room.words = new Uint16Array(size);
    room.counts = new Uint32Array(size);
  }
  const { words, counts } = room;
  /** How far each block is gathered. */
  const filled = Uint32Array.from({ length: span.count }, (_, block) => block * weights);
  // Little-endian: the upper 16 bits are the last ones.
  const step = floatBytes(dtype) / 2;
  return {
    add(bytes, { rows, column, columns }, tile, { first, count }) {
      const all = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
      const at = Math.floor(column / blockColumns) - span.first;
      for (let block = first; block < first + count; block++) {
        let used = filled[at + block]!;
        const from = block * tile.blockColumns;
        const to = Math.min(from + tile.blockColumns, columns);
        for (let row = 0; row < rows; row++) {
          let word = (row * columns + from + 1) * step - 1;
          for (let i = from; i < to; i++, word += step) words[used++] = all[word]!;
        }
        filled[at + block] = used;
      }
    },
    list() {
      const blocks: UsedBins[] = [];
      for (let from = 0; from < size; from += weights) {
        const to = from + weights;
        blocks.push(sortBins(words.subarray(from, to), counts.subarray(from, to)));
      }
      return blocks;
    },
  };
}
