/**
 * How a format lays out the codes of a row. Kernels give them as words (pack_codes.ts); what a format
 * stores is made of those.
 */

import type { BlockParams } from "../compute/kernels.ts";
import { packedBytes, unpackRow } from "../compute/pack_codes.ts";
import type { Bits } from "../types.ts";
import { blockBytes, type BlockType, isBlockType } from "./gguf/block_types.ts";
import { type MatrixGrid, packBlocks } from "./gguf/pack_blocks.ts";
import { unpackBlocks } from "./gguf/unpack_blocks.ts";

/**
 * How rows of codes are laid out. `words`: as kernels give them, each row padded to whole 32-bit words. `bytes`: the same without
 * padding. `signed`: 8-bit codes less 128, as signed bytes. The others are the blocks of ggml, which hold
 * parameters as well.
 */
export type Packing = "words" | "bytes" | "signed" | BlockType;

/** Codes as they are decoded: value = code * scale + offset. */
export interface AffineParams {
  /** Of each block, row by row. */
  scale: Float64Array;
  /** Of each block, row by row: -zero_point * scale, as the format rounds it. */
  offset: Float64Array;
}

/** Rows of codes taken apart. */
export interface UnpackedRows {
  /** [rows * columns], 0 to qmax. */
  codes: Uint8Array;
  /** Parameters that lie among the codes: of runs of as many columns each, row by row. */
  within?: AffineParams;
}

/** How rows of codes are stored. */
export interface Packer {
  /** Bytes that hold so many columns: of a whole row, or of those left of a tile. */
  bytesOf(columns: number): number;
  /**
   * From the words of a tile to what is stored.
   *
   * @param packed [rows] padded to words.
   * @param params Of its blocks, row by row.
   * @returns `packed` itself where that is what is stored.
   */
  pack(
    packed: Uint8Array<ArrayBuffer>,
    grid: MatrixGrid,
    params: Pick<BlockParams, "scale" | "zero_point">,
  ): Uint8Array<ArrayBuffer>;
  /** The inverse. */
  unpack(bytes: Uint8Array<ArrayBuffer>, size: { rows: number; columns: number }): UnpackedRows;
}

/** What turns the upper bit of each byte of a word. */
const SIGNS = 0x8080_8080 | 0;

/** The packer of codes of a width. */
export function packerOf(packing: Packing, bits: Bits): Packer {
  if (isBlockType(packing)) return blockPacker(packing);
  const padded = (columns: number) => packedBytes(columns, bits);
  const bytesOf = (columns: number) => packing === "words" ? padded(columns) : (columns * bits) / 8;
  const turn = packing === "signed" ? turnSigns : <T>(bytes: T) => bytes;
  return {
    bytesOf,
    pack: (packed, { rows, columns }) =>
      turn(narrowRows(packed, rows, padded(columns), bytesOf(columns))),
    unpack(bytes, { rows, columns }) {
      const stored = turn(bytes);
      const codes = new Uint8Array(rows * columns);
      for (let row = 0, width = bytesOf(columns); row < rows; row++) {
        const from = stored.subarray(row * width, (row + 1) * width);
        unpackRow(from, bits, codes.subarray(row * columns, (row + 1) * columns));
      }
      return { codes };
    },
  };
}

function blockPacker(type: BlockType): Packer {
  const bytesOf = (columns: number) => blockBytes(type, 1, columns);
  return {
    bytesOf,
    pack(packed, grid, params) {
      const out = new Uint8Array(grid.rows * bytesOf(grid.columns));
      packBlocks(type, packed, grid, params, out);
      return out;
    },
    unpack(bytes, size) {
      const { codes, scale, offset } = unpackBlocks(type, bytes, size);
      return { codes, within: { scale, offset } };
    },
  };
}

/** Rows without what follows their first `width` bytes. */
function narrowRows(
  packed: Uint8Array<ArrayBuffer>,
  rows: number,
  stride: number,
  width: number,
): Uint8Array<ArrayBuffer> {
  if (stride === width) return packed;
  const out = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    out.set(packed.subarray(row * stride, row * stride + width), row * width);
  }
  return out;
}

/** A copy with the upper bit of each byte turned. */
function turnSigns(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  out.set(bytes);
  const words = new Int32Array(out.buffer);
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ SIGNS;
  return out.subarray(0, bytes.length);
}
