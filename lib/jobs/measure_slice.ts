/** Finds the range of each block of a slice. */

import type { BlockRanges } from "../compute/kernels.ts";
import { type Desk, firstBlockOf, halfOver, type OnBytes, readTile, tilesOf } from "./desk.ts";
import { blocksOf, type Slice } from "./slice.ts";

/** Asks for the range of each block of a slice: [blocks], row-major. */
export interface MeasureJob {
  verb: "measure";
  slice: Slice;
}

/** Runs the job. */
export function measureSlice({ slice }: MeasureJob, desk: Desk): Promise<BlockRanges> {
  return measureTiles(slice, desk, halfOver(1, desk.onBytes));
}

/**
 * Measures a slice, telling of its tiles as they are done.
 *
 * @param place See {@linkcode readTile}.
 */
export async function measureTiles(
  slice: Slice,
  desk: Desk,
  tell: OnBytes,
  place = 0,
): Promise<BlockRanges> {
  const blocks = blocksOf(slice);
  const lo = new Float32Array(blocks);
  const hi = new Float32Array(blocks);
  for (const [plan, tile] of tilesOf(slice, desk.kernels.tileBytes)) {
    const bytes = await readTile(desk, slice, plan, false, place);
    const found = await desk.kernels.range(bytes, tile);
    const first = firstBlockOf(slice, plan);
    for (let i = 0; i < found.lo.length; i++) {
      // Math.min and Math.max keep a NaN.
      lo[first + i] = Math.min(lo[first + i]!, found.lo[i]!);
      hi[first + i] = Math.max(hi[first + i]!, found.hi[i]!);
    }
    await tell(bytes.length);
  }
  return { lo, hi };
}
