/**
 * The bit layout of packed codes, as compressed-tensors `pack-quantized` defines it: element i of a
 * row at bit i * bits, least significant first, in little-endian 32-bit words; the tail of a row is 0.
 * Zero points are packed the same way along the rows, one column of words for each block.
 */

import type { Bits } from "../types.ts";

/** Bytes of a packed row of `count` codes: whole 32-bit words. */
export function packedBytes(count: number, bits: Bits): number {
  return Math.ceil((count * bits) / 32) * 4;
}

/**
 * Packs one row.
 *
 * @param codes 0 to 2^bits - 1 each.
 * @param out At least `packedBytes(codes.length, bits)` bytes.
 */
export function packRow(codes: Uint8Array, bits: Bits, out: Uint8Array): void {
  const perByte = 8 / bits;
  const whole = Math.floor(codes.length / perByte);
  if (bits === 8) {
    out.set(codes);
  } else if (bits === 4) {
    for (let i = 0, c = 0; i < whole; i++, c += 2) out[i] = codes[c]! | (codes[c + 1]! << 4);
  } else {
    for (let i = 0, c = 0; i < whole; i++, c += 4) {
      out[i] = codes[c]! | (codes[c + 1]! << 2) | (codes[c + 2]! << 4) | (codes[c + 3]! << 6);
    }
  }
  out.fill(0, whole, packedBytes(codes.length, bits));
  for (let c = whole * perByte; c < codes.length; c++) {
    out[whole] = out[whole]! | (codes[c]! << ((c % perByte) * bits));
  }
}

/**
 * Unpacks one row.
 *
 * @param packed At least `packedBytes(out.length, bits)` bytes.
 * @param out Receives the codes; its length is the number of codes.
 */
export function unpackRow(packed: Uint8Array, bits: Bits, out: Uint8Array): void {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  for (let c = 0; c < out.length; c++) {
    out[c] = (packed[Math.floor(c / perByte)]! >>> ((c % perByte) * bits)) & mask;
  }
}

/** Rows whose packed zero points fill whole words, at every width. */
const WORD_ROWS = 16;

/**
 * How many rows to take at a time, so that the packed zero points of each run but the last end on a word.
 *
 * @param most Rows wanted; less than 16 become 16.
 */
export function wholeWordRows(most: number): number {
  return Math.max(1, Math.floor(most / WORD_ROWS)) * WORD_ROWS;
}

/**
 * Packs zero points along the rows.
 *
 * @param zeroPoints [rows, blocks], row by row.
 * @param blocks Blocks side by side in a row.
 * @returns Little-endian words [ceil(rows * bits / 32), blocks].
 */
export function packZeroPoints(
  zeroPoints: Uint8Array,
  blocks: number,
  bits: Bits,
): Uint8Array<ArrayBuffer> {
  const perByte = 8 / bits;
  const rows = zeroPoints.length / blocks;
  const out = new Uint8Array(packedBytes(rows, bits) * blocks);
  for (let row = 0; row < rows; row++) {
    const byte = Math.floor(row / perByte);
    const start = Math.floor(byte / 4) * blocks * 4 + (byte % 4);
    const shift = (row % perByte) * bits;
    for (let block = 0; block < blocks; block++) {
      const at = start + block * 4;
      out[at] = out[at]! | (zeroPoints[row * blocks + block]! << shift);
    }
  }
  return out;
}

/** The inverse of {@linkcode packZeroPoints}. */
export function unpackZeroPoints(
  packed: Uint8Array,
  rows: number,
  blocks: number,
  bits: Bits,
): Uint8Array<ArrayBuffer> {
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const out = new Uint8Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    const byte = Math.floor(row / perByte);
    const start = Math.floor(byte / 4) * blocks * 4 + (byte % 4);
    const shift = (row % perByte) * bits;
    for (let block = 0; block < blocks; block++) {
      out[row * blocks + block] = (packed[start + block * 4]! >>> shift) & mask;
    }
  }
  return out;
}
