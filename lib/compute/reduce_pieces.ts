/** Takes together what the shaders found for the pieces of each block. */

import type { QualitySums } from "../types.ts";
import { blockCount, type BlockParams, type Tile } from "./kernels.ts";
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

/** Numbers that the shader gives for each piece. */
export const SUMS_PER_PIECE = 3;

/**
 * Adds up the sums of all pieces. The first and the last of three were multiplied by the inverse that
 * the shader has, twice, and it is a rounded one; the second counts steps.
 */
export function reduceSums(
  pieces: Float32Array,
  layout: Layout,
  { scale, code_scale = scale }: BlockParams,
): QualitySums {
  const sums = { signal: 0, decoded: 0, error: 0 };
  for (let unit = 0; unit < layout.units; unit++) {
    const block = blockOf(unit, layout.across, layout.pieces, layout.blockRows);
    const squaredInverse = Math.fround(1 / code_scale[block]!) ** 2;
    const at = unit * SUMS_PER_PIECE;
    sums.signal += pieces[at]! / squaredInverse;
    sums.decoded += pieces[at + 1]! * scale[block]! ** 2;
    sums.error += pieces[at + 2]! / squaredInverse;
  }
  return sums;
}

function blockOf(unit: number, across: number, pieces: number, blockRows: number): number {
  const row = Math.floor(unit / (across * pieces));
  const place = Math.floor((unit % (across * pieces)) / pieces);
  return Math.floor(row / blockRows) * across + place;
}
