/**
 * From ggml's blocks to codes and to what they are multiplied by, as the bytes have it and not as
 * Isotherm would have written it: a file that is damaged or comes from elsewhere decodes to what other
 * readers make of it. Kept dull on purpose.
 */

import { BadInputError } from "../../base/errors.ts";
import { BLOCK_TYPES, blockBytes, type BlockType } from "./block_types.ts";

/** A decoded matrix: value = code * scale + offset, with the scale and offset of the code's run. */
export interface UnpackedBlocks {
  /** [rows * columns], 0 to 2^bits - 1; of Q8_0 the int8 plus 128. */
  codes: Uint8Array;
  /** Columns of a run: 16 (Q2_K) or 32. */
  unit: number;
  /** [rows * columns / unit], row by row. */
  scale: Float64Array;
  /** [rows * columns / unit], row by row. */
  offset: Float64Array;
}

/** Columns that share a scale and an offset in a block. */
const UNITS: Record<BlockType, number> = { q4_1: 32, q8_0: 32, q4_k: 32, q2_k: 16 };

/**
 * Decodes one block.
 *
 * @param at Its first byte.
 * @param run Its first run of `out`.
 */
type BlockReader = (view: DataView, at: number, out: UnpackedBlocks, run: number) => void;

const READERS: Record<BlockType, BlockReader> = {
  q4_1: readQ4_1,
  q8_0: readQ8_0,
  q4_k: readQ4_K,
  q2_k: readQ2_K,
};

/**
 * Decodes the blocks of a matrix.
 *
 * @param bytes At least `blockBytes(type, rows, columns)` bytes, at any alignment.
 * @param size Its rows and columns; the latter a multiple of the layout's.
 * @throws {BadInputError} There are too few bytes, or the columns are no whole blocks.
 */
export function unpackBlocks(
  type: BlockType,
  bytes: Uint8Array,
  size: { rows: number; columns: number },
): UnpackedBlocks {
  const { rows, columns } = size;
  const layout = BLOCK_TYPES[type];
  const needed = blockBytes(type, rows, columns);
  if (columns % layout.columns !== 0 || bytes.length < needed) {
    throw new BadInputError(
      `Cannot decode ${rows} rows of ${columns} columns as ${type}: ${bytes.length} bytes given, ` +
        `${layout.bytes} needed for every ${layout.columns} columns`,
    );
  }
  const unit = UNITS[type];
  const runs = rows * columns / unit;
  const out: UnpackedBlocks = {
    codes: new Uint8Array(rows * columns),
    unit,
    scale: new Float64Array(runs),
    offset: new Float64Array(runs),
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, needed);
  const read = READERS[type];
  for (let run = 0, at = 0; run < runs; run += layout.columns / unit, at += layout.bytes) {
    read(view, at, out, run);
  }
  return out;
}

function readQ4_1(view: DataView, at: number, out: UnpackedBlocks, run: number): void {
  out.scale[run] = view.getFloat16(at, true);
  out.offset[run] = view.getFloat16(at + 2, true);
  for (let i = 0; i < 16; i++) {
    const pair = view.getUint8(at + 4 + i);
    out.codes[run * 32 + i] = pair & 15;
    out.codes[run * 32 + i + 16] = pair >>> 4;
  }
}

function readQ8_0(view: DataView, at: number, out: UnpackedBlocks, run: number): void {
  const d = view.getFloat16(at, true);
  out.scale[run] = d;
  out.offset[run] = -128 * d;
  for (let i = 0; i < 32; i++) out.codes[run * 32 + i] = view.getInt8(at + 2 + i) + 128;
}

/** Eight runs of 32 codes; inner scales and minima have 6 bits, in 12 bytes. */
function readQ4_K(view: DataView, at: number, out: UnpackedBlocks, run: number): void {
  const d = view.getFloat16(at, true);
  const dmin = view.getFloat16(at + 2, true);
  for (let i = 0; i < 4; i++) {
    // The first four have a byte each; its two upper bits belong to the run four further on, whose
    // lower bits are the nibbles of a third byte.
    const scale = view.getUint8(at + 4 + i);
    const min = view.getUint8(at + 8 + i);
    const low = view.getUint8(at + 12 + i);
    out.scale[run + i] = d * (scale & 63);
    out.offset[run + i] = -dmin * (min & 63);
    out.scale[run + i + 4] = d * ((low & 15) | ((scale >>> 6) << 4));
    out.offset[run + i + 4] = -dmin * ((low >>> 4) | ((min >>> 6) << 4));
  }
  for (let i = 0; i < 128; i++) {
    const pair = view.getUint8(at + 16 + i);
    const code = run * 32 + (i >>> 5) * 64 + (i & 31);
    out.codes[code] = pair & 15;
    out.codes[code + 32] = pair >>> 4;
  }
}

/** Sixteen runs of 16 codes; an inner scale and a minimum share a byte. */
function readQ2_K(view: DataView, at: number, out: UnpackedBlocks, run: number): void {
  const d = view.getFloat16(at + 80, true);
  const dmin = view.getFloat16(at + 82, true);
  for (let i = 0; i < 16; i++) {
    const inner = view.getUint8(at + i);
    out.scale[run + i] = d * (inner & 15);
    out.offset[run + i] = -dmin * (inner >>> 4);
  }
  for (let i = 0; i < 64; i++) {
    const four = view.getUint8(at + 16 + i);
    const code = run * 16 + (i >>> 5) * 128 + (i & 31);
    for (let k = 0; k < 4; k++) out.codes[code + 32 * k] = (four >>> (2 * k)) & 3;
  }
}
