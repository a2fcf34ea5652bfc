/**
 * From packed rows to ggml's blocks. Both hold the same codes, so this moves bits, a word of 32 at a
 * time: it runs over every weight, and one code at a time takes five times as long.
 */

import { BadInputError } from "../../base/errors.ts";
import type { BlockGrid } from "../../types.ts";
import { BLOCK_TYPES, blockBytes, type BlockType } from "./block_types.ts";

/** A matrix and its blocks of the quantizer: columns a multiple of the layout's, and so are a block's. */
export interface MatrixGrid extends BlockGrid {
  /** Rows. */
  rows: number;
  /** Columns. */
  columns: number;
}

/** Parameters of the quantizer's blocks, row by row of blocks: value = (code - zero_point) * scale. */
export interface GridParams {
  /** Exact in F16. */
  scale: Float32Array;
  /** 0 to 2^bits - 1; 128 everywhere for Q8_0, which is symmetric. */
  zero_point: Uint8Array;
}

/**
 * Writes the blocks of a matrix, row by row.
 *
 * - Q4_1: F16 d = scale, F16 m = -zero_point * scale rounded, value = d * code + m.
 * - Q8_0: F16 d = scale, codes - 128 as int8, value = d * code.
 * - Q4_K, Q2_K: F16 d = dmin = scale, all inner scales 1 and all inner minima zero_point, so that
 *   value = d * code - dmin * zero_point is exact.
 *
 * @param packed Codes, as `packRow` of `pack_codes.ts` lays out each row; at any alignment.
 * @param out `blockBytes(type, rows, columns)` bytes, at any alignment.
 * @throws {BadInputError} Q4_1: a product zero_point * scale is beyond what F16 holds.
 * @throws {RangeError} Q8_0: a zero point is not 128.
 */
export function packBlocks(
  type: BlockType,
  packed: Uint8Array,
  grid: MatrixGrid,
  params: GridParams,
  out: Uint8Array,
): void {
  const { rows, columns, blockRows, blockColumns } = grid;
  const layout = BLOCK_TYPES[type];
  const size = blockBytes(type, rows, columns);
  const target = out.byteOffset % 4 === 0
    ? new Uint8Array(out.buffer, out.byteOffset, size)
    : new Uint8Array(size);
  const tile: Tile = {
    source: wordsOf(packed, rows * columns * layout.bits / 8),
    words: new Int32Array(target.buffer, target.byteOffset, Math.floor(size / 4)),
    halves: new Uint16Array(target.buffer, target.byteOffset, size / 2),
    units: blockColumns / layout.columns,
  };
  const blocks = columns / blockColumns;
  const heads = new Float16Array(2 * blocks);
  const pairs = new Int32Array(heads.buffer);
  const pack = ROW_PACKERS[type];
  for (let row = 0; row < rows; row++) {
    const first = Math.floor(row / blockRows) * blocks;
    if (row % blockRows === 0) fillHeads(type, params, first, heads);
    const zeroPoint = params.zero_point.subarray(first, first + blocks);
    const from = row * columns * layout.bits / 32;
    pack(tile, from, row * (size / rows), pairs, zeroPoint);
  }
  if (target.buffer !== out.buffer) out.set(target);
}

/** The bytes as 32-bit words; those at an odd place are copied. */
function wordsOf(bytes: Uint8Array, length: number): Int32Array {
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice(0, length);
  return new Int32Array(buffer, byteOffset, length / 4);
}

const MAX_F16 = 65504;

/** The two floats of each block of a row: d, and m or dmin. */
function fillHeads(
  type: BlockType,
  { scale, zero_point }: GridParams,
  first: number,
  heads: Float16Array,
): void {
  const count = heads.length / 2;
  if (type === "q8_0") {
    for (let i = first; i < first + count; i++) {
      if (zero_point[i] === 128) continue;
      throw new RangeError(`Cannot write Q8_0: a zero point is ${zero_point[i]}, 128 is needed`);
    }
  }
  // What is not Q4_1 has its zero points in whole numbers, beside the floats.
  const isAffine = type === "q4_1";
  let least = 0;
  for (let i = 0; i < count; i++) {
    const d = scale[first + i]!;
    const second = isAffine ? -zero_point[first + i]! * d : d;
    if (second < least) least = second;
    heads[2 * i] = d;
    heads[2 * i + 1] = second;
  }
  if (least < -MAX_F16) {
    throw new BadInputError(
      `Cannot write Q4_1: an offset is ${least}, below ${-MAX_F16}, the least of F16: ` +
        "keep this layer out of quantization",
    );
  }
}

/** What is read and written. */
interface Tile {
  /** Codes. */
  source: Int32Array;
  /** Blocks, as words: for those whose length is a multiple of 4. */
  words: Int32Array;
  /** Blocks, as halves of words. */
  halves: Uint16Array;
  /** Blocks of ggml in one of the quantizer. */
  units: number;
}

/**
 * Writes the blocks of one row.
 *
 * @param from Its first word of `source`.
 * @param begin Its first byte of the blocks.
 * @param heads Two F16 for each block of the quantizer, in a word.
 * @param zeroPoint One for each block of the quantizer.
 */
type RowPacker = (
  tile: Tile,
  from: number,
  begin: number,
  heads: Int32Array,
  zeroPoint: Uint8Array,
) => void;

const ROW_PACKERS: Record<BlockType, RowPacker> = {
  q4_1: packQ4_1,
  q8_0: packQ8_0,
  q4_k: packQ4_K,
  q2_k: packQ2_K,
};

/**
 * Two words of 8 nibbles each become two words of 4 bytes each: byte i has nibble i of `low` in its low
 * half and nibble i of `high` in its high half.
 */
function pairNibbles(low: number, high: number, out: Int32Array, at: number): void {
  // Nibbles 0, 2, 4, 6 of both, then 1, 3, 5, 7; their bytes alternate in the result.
  const even = (low & 0x0f0f_0f0f) | ((high & 0x0f0f_0f0f) << 4);
  const odd = ((low >>> 4) & 0x0f0f_0f0f) | (high & 0xf0f0_f0f0);
  out[at] = (even & 0xff) | ((odd & 0xff) << 8) | ((even & 0xff00) << 8) | ((odd & 0xff00) << 16);
  out[at + 1] = ((even >>> 16) & 0xff) | ((odd >>> 8) & 0xff00) |
    ((even >>> 8) & 0xff_0000) | (odd & 0xff00_0000);
}

function packQ4_1(
  { source, words, units }: Tile,
  from: number,
  begin: number,
  heads: Int32Array,
): void {
  let to = begin / 4;
  for (let block = 0; block < heads.length; block++) {
    const head = heads[block]!;
    for (let unit = 0; unit < units; unit++) {
      words[to] = head;
      pairNibbles(source[from]!, source[from + 2]!, words, to + 1);
      pairNibbles(source[from + 1]!, source[from + 3]!, words, to + 3);
      from += 4;
      to += 5;
    }
  }
}

/** A block has 17 halves of a word: its length keeps whole words from staying aligned. */
function packQ8_0(
  { source, halves, units }: Tile,
  from: number,
  begin: number,
  heads: Int32Array,
): void {
  let to = begin / 2;
  for (let block = 0; block < heads.length; block++) {
    for (let unit = 0; unit < units; unit++) {
      halves[to++] = heads[block]!;
      for (const last = from + 8; from < last; from++) {
        // A code less 128 is the code with its highest bit turned over.
        const word = source[from]! ^ 0x8080_8080;
        halves[to] = word;
        halves[to + 1] = word >>> 16;
        to += 2;
      }
    }
  }
}

function packQ4_K(
  { source, words, units }: Tile,
  from: number,
  begin: number,
  heads: Int32Array,
  zeroPoint: Uint8Array,
): void {
  let to = begin / 4;
  for (const [block, z] of zeroPoint.entries()) {
    const head = heads[block]!;
    for (let unit = 0; unit < units; unit++) {
      // Eight inner scales of 1 and minima of z: the first four of each in 6 bits of a byte, the
      // others as two nibbles of one.
      words[to] = head;
      words[to + 1] = 0x0101_0101;
      words[to + 2] = z * 0x0101_0101;
      words[to + 3] = (1 | (z << 4)) * 0x0101_0101;
      to += 4;
      // 64 codes at a time: 32 in low nibbles, 32 in high ones.
      for (let run = 0; run < 4; run++) {
        for (let word = 0; word < 4; word++) {
          pairNibbles(source[from + word]!, source[from + word + 4]!, words, to);
          to += 2;
        }
        from += 8;
      }
    }
  }
}

/** A 4 x 4 matrix of 2-bit items, one row in each byte, transposed. */
function transposePairs(word: number): number {
  let t = (word ^ (word >>> 6)) & 0x00cc_00cc;
  word ^= t ^ (t << 6);
  t = (word ^ (word >>> 12)) & 0x0000_f0f0;
  return word ^ t ^ (t << 12);
}

function packQ2_K(
  { source, words, units }: Tile,
  from: number,
  begin: number,
  heads: Int32Array,
  zeroPoint: Uint8Array,
): void {
  const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  let byte = from * 4;
  let to = begin / 4;
  for (const [block, z] of zeroPoint.entries()) {
    const head = heads[block]!;
    for (let unit = 0; unit < units; unit++) {
      // Sixteen inner scales of 1, each beside its minimum of z.
      words.fill((1 | (z << 4)) * 0x0101_0101, to, to + 4);
      to += 4;
      // 128 codes at a time, 32 of them at each pair of bits.
      for (let half = 0; half < 2; half++) {
        for (const last = byte + 8; byte < last; byte++) {
          const rows = bytes[byte]! | (bytes[byte + 8]! << 8) | (bytes[byte + 16]! << 16) |
            (bytes[byte + 24]! << 24);
          words[to++] = transposePairs(rows);
        }
        byte += 24;
      }
      words[to++] = head;
    }
  }
}
