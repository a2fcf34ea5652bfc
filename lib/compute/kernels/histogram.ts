/** Weights of each block by their upper 16 bits. Kept dull on purpose: it is what other kernels are tested against. */

import { BINS } from "../../types.ts";
import { floatBytes } from "../../safetensors/dtype.ts";
import type { BlockRun, Tile } from "../kernels.ts";

/**
 * See {@linkcode Kernels.count}.
 *
 * @param counts All histograms; added to.
 */
export function count(bytes: Uint8Array, tile: Tile, run: BlockRun, counts: Uint32Array): void {
  const { rows, columns, blockColumns } = tile;
  const width = floatBytes(tile.dtype);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < run.count; block++) {
      const start = (run.first + block) * blockColumns;
      const end = Math.min(start + blockColumns, columns);
      const histogram = (run.histogram + block) * BINS;
      for (let column = start; column < end; column++) {
        // Little-endian: the upper 16 bits are the last two bytes.
        const behind = (row * columns + column + 1) * width;
        const bin = histogram + bytes[behind - 2]! + 256 * bytes[behind - 1]!;
        counts[bin] = counts[bin]! + 1;
      }
    }
  }
}
