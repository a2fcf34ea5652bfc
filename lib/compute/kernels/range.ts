/** Smallest and largest value of each block. Kept dull on purpose: it is what other kernels are tested against. */

import { decodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import { blockCount, type BlockRanges, blocksAcross, type Tile } from "../kernels.ts";

/** See {@linkcode Kernels.range}. */
export function range(bytes: Uint8Array, tile: Tile): BlockRanges {
  const { rows, columns, blockRows, blockColumns, dtype } = tile;
  const across = blocksAcross(tile);
  const lo = new Float32Array(blockCount(tile));
  const hi = new Float32Array(lo.length);
  const values = new Float32Array(columns);
  const rowBytes = columns * floatBytes(dtype);
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, values);
    let block = Math.floor(row / blockRows) * across;
    for (let start = 0; start < columns; start += blockColumns, block++) {
      const end = Math.min(start + blockColumns, columns);
      let min = lo[block]!;
      let max = hi[block]!;
      let residue = 0;
      for (let i = start; i < end; i++) {
        const x = values[i]!;
        if (x < min) min = x;
        if (x > max) max = x;
        residue += x - x; // 0 for a finite value, NaN for any other
      }
      lo[block] = min + residue;
      hi[block] = max + residue;
    }
  }
  return { lo, hi };
}
