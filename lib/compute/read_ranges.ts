/** From bits to ranges, for the kernels that look for the largest bits instead of the largest values. */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { BlockRanges } from "./kernels.ts";

/** For each dtype: the bits from which on a value is infinite or NaN, and the bits of the least normal F32. */
const LIMITS: Record<FloatDtype, { infinite: number; normal: number }> = {
  F32: { infinite: 0x7f80_0000, normal: 0x0080_0000 },
  BF16: { infinite: 0x7f80, normal: 0x0080 },
  F16: { infinite: 0x7c00, normal: 1 },
};

/** Turns the largest bits of each block, as signed and as unsigned integers, into its range. */
export function readRanges(found: Int32Array, dtype: FloatDtype): BlockRanges {
  const blocks = found.length / 2;
  const lo = new Float32Array(blocks);
  const hi = new Float32Array(blocks);
  const wide = dtype === "F32";
  const sign = wide ? 0x8000_0000 : 0x8000;
  const { infinite, normal } = LIMITS[dtype];
  // Decoded all at once: bits that mark no value become 0.
  const bits = new Uint32Array(blocks * 2);
  for (let block = 0; block < blocks; block++) {
    const high = found[block * 2]!;
    const low = found[block * 2 + 1]! >>> 0;
    const magnitude = low >= sign ? low - sign : 0;
    if (high >= infinite || magnitude >= infinite) {
      lo[block] = NaN;
      hi[block] = NaN;
      continue;
    }
    bits[block * 2] = magnitude >= normal ? low : 0;
    bits[block * 2 + 1] = high >= normal ? high : 0;
  }
  const values = wide
    ? new Float32Array(bits.buffer)
    : dtype === "F16"
    ? Float32Array.from(new Float16Array(Uint16Array.from(bits).buffer))
    : new Float32Array(bits.map((half) => half << 16).buffer);
  for (let block = 0; block < blocks; block++) {
    if (Number.isNaN(lo[block])) continue;
    lo[block] = values[block * 2]!;
    hi[block] = values[block * 2 + 1]!;
  }
  return { lo, hi };
}
