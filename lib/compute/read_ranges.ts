/** From bits to ranges, for the kernels that look for the largest bits instead of the largest values. */

import type { FloatDtype } from "../safetensors/dtype.ts";
import type { BlockRanges } from "./kernels.ts";

/** For each dtype: the bits from which on a value is infinite or NaN, and the bits of the least normal F32. */
const LIMITS: Record<FloatDtype, { infinite: number; normal: number }> = {
  F32: { infinite: 0x7f80_0000, normal: 0x0080_0000 },
  BF16: { infinite: 0x7f80, normal: 0x0080 },
  F16: { infinite: 0x7c00, normal: 1 },
};

/**
 * Turns the largest bits of each block, as signed and as unsigned integers, into its range.
 *
 * @param found [blocks, 2].
 * @param out Receives the ranges: [blocks].
 */
export function readRanges(found: Int32Array, dtype: FloatDtype, out: BlockRanges): BlockRanges {
  const { lo, hi } = out;
  const blocks = lo.length;
  const loBits = new Uint32Array(lo.buffer, lo.byteOffset, blocks);
  const hiBits = new Uint32Array(hi.buffer, hi.byteOffset, blocks);
  const wide = dtype === "F32";
  const sign = wide ? 0x8000_0000 : 0x8000;
  const shift = dtype === "BF16" ? 16 : 0;
  const { infinite, normal } = LIMITS[dtype];
  for (let block = 0; block < blocks; block++) {
    const high = found[block * 2]!;
    const low = found[block * 2 + 1]! >>> 0;
    const magnitude = low >= sign ? low - sign : 0;
    if (high >= infinite || magnitude >= infinite) {
      lo[block] = NaN;
      hi[block] = NaN;
      continue;
    }
    // Bits that mark no value become 0.
    loBits[block] = magnitude >= normal ? low << shift : 0;
    hiBits[block] = high >= normal ? high << shift : 0;
  }
  if (dtype === "F16") {
    decodeHalves(lo, loBits);
    decodeHalves(hi, hiBits);
  }
  return out;
}

/** From the bits of F16 in place of F32 to their values; a NaN stays. */
function decodeHalves(values: Float32Array, bits: Uint32Array): void {
  const halves = new Float16Array(Uint16Array.from(bits).buffer);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i])) values[i] = halves[i]!;
  }
}
