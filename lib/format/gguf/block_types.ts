/**
 * The block layouts of ggml that Isotherm writes. Each holds a run of columns of one row: their codes,
 * and the floats they are multiplied by. Layouts: ggml-common.h and ggml-quants.c of ggml.
 */

import type { Bits } from "../../types.ts";

/** A layout, by ggml's name for it in lower case. */
export type BlockType = "q4_1" | "q8_0" | "q4_k" | "q2_k";

/** What a layout is. */
export interface BlockLayout {
  /** ggml's number of the tensor type. */
  type: number;
  /** Columns of a block: 32 or 256. */
  columns: number;
  /** Bytes of a block. */
  bytes: number;
  /** Width of a code. */
  bits: Bits;
}

/** The layouts. */
export const BLOCK_TYPES: Record<BlockType, BlockLayout> = {
  q4_1: { type: 3, columns: 32, bytes: 20, bits: 4 },
  q8_0: { type: 8, columns: 32, bytes: 34, bits: 8 },
  q4_k: { type: 12, columns: 256, bytes: 144, bits: 4 },
  q2_k: { type: 10, columns: 256, bytes: 84, bits: 2 },
};

/** Whether a name is that of a layout. */
export function isBlockType(name: string): name is BlockType {
  return name in BLOCK_TYPES;
}

/** Bytes of a matrix in blocks; `columns` is a multiple of the layout's. */
export function blockBytes(type: BlockType, rows: number, columns: number): number {
  const layout = BLOCK_TYPES[type];
  return (rows * columns / layout.columns) * layout.bytes;
}
