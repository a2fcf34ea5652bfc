/** Takes together what the shaders found for the pieces of each block. */

import { blockCount, type BlockParams, SUMS_PER_BLOCK, type Tile } from "./kernels.ts";
import type { Layout } from "./lay_out_tile.ts";

/** Takes the pieces of each block together: two I32 a block. */
export function reduceRanges(pieces: Int32Array, layout: Layout, tile: Tile): Int32Array {
  const { across, blockRows } = layout;
  const found = new Int32Array(blockCount(tile) * 2);
  for (let unit = 0; unit < layout.units; unit++) {
    const block = blockOf(unit, across, layout.pieces, blockRows);
    found[block * 2] = Math.max(found[block * 2]!, pieces[unit * 2]!);
    found[block * 2 + 1] = Math.max(found[block * 2 + 1]! >>> 0, pieces[unit * 2 + 1]! >>> 0);
  }
  return found;
}

/**
 * Adds up the sums of the pieces of each block. The first and the last of three were multiplied by
 * the inverse that the shader has, twice, and it is a rounded one; the second counts steps.
 */
export function reduceSums(
  pieces: Float32Array,
  layout: Layout,
  blocks: number,
  { scale }: BlockParams,
): Float64Array {
  const sums = new Float64Array(blocks * SUMS_PER_BLOCK);
  for (let unit = 0; unit < layout.units; unit++) {
    const block = blockOf(unit, layout.across, layout.pieces, layout.blockRows);
    for (let i = 0; i < SUMS_PER_BLOCK; i++) {
      const at = block * SUMS_PER_BLOCK + i;
      sums[at] = sums[at]! + pieces[unit * SUMS_PER_BLOCK + i]!;
    }
  }
  return sums.map((sum, i) => {
    const step = scale[Math.floor(i / SUMS_PER_BLOCK)]!;
    return i % SUMS_PER_BLOCK === 1 ? sum * step ** 2 : sum / Math.fround(1 / step) ** 2;
  });
}

function blockOf(unit: number, across: number, pieces: number, blockRows: number): number {
  const row = Math.floor(unit / (across * pieces));
  const place = Math.floor((unit % (across * pieces)) / pieces);
  return Math.floor(row / blockRows) * across + place;
}
