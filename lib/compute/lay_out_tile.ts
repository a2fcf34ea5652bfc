/** Cuts a tile into the pieces that the shaders work on. */

import { packedBytes } from "./pack_codes.ts";
import type { Bits } from "../types.ts";
import type { BlockParams, BlockRun, Tile } from "./kernels.ts";

/**
 * How a dispatch is cut: `solo`, one invocation a piece and no barriers, which software adapters are
 * faster at; `together`, one workgroup a piece, which reads memory as hardware likes it.
 */
export type Form = "solo" | "together";

/** Invocations in a workgroup. */
export const GROUP = 64;

/** What the shaders do. */
export type Kernel = "range" | "encode" | "histogram";

/** Weights of a piece. Short pieces keep the sums exact; long ones keep the read-back small. */
const PIECE: Record<Form, Record<Kernel, number>> = {
  solo: { range: 1024, encode: 256, histogram: 1024 },
  together: { range: 8192, encode: 2048, histogram: 8192 },
};

/** Below this many columns in a block a workgroup of its own has too little to do. */
const LEAST_TOGETHER = 512;

/** How a tile is laid out for the shaders. */
export interface Layout {
  rows: number;
  columns: number;
  blockRows: number;
  blockColumns: number;
  across: number;
  pieces: number;
  piece: number;
  rowWords: number;
  units: number;
  form: Form;
}

/**
 * Lays a tile out.
 *
 * @param most The form used where blocks are wide enough for it.
 */
export function layOut(tile: Tile, kernel: Kernel, bits: Bits, most: Form): Layout {
  const isOneBlock = tile.blockColumns >= tile.columns && tile.blockRows >= tile.rows;
  const isPadded = kernel === "encode" && (tile.columns * bits) % 32 !== 0;
  // Rows of one block without padding lie one behind the other, and so are one row.
  const shape = isOneBlock && !isPadded
    ? { ...tile, rows: 1, columns: tile.rows * tile.columns, blockRows: 1 }
    : tile;
  const blockColumns = isOneBlock ? shape.columns : tile.blockColumns;
  const form = blockColumns < LEAST_TOGETHER ? "solo" : most;
  const piece = PIECE[form][kernel];
  const across = Math.ceil(shape.columns / blockColumns);
  const pieces = Math.ceil(blockColumns / piece);
  return {
    rows: shape.rows,
    columns: shape.columns,
    blockRows: shape.blockRows,
    blockColumns,
    across,
    pieces,
    piece,
    rowWords: packedBytes(shape.columns, bits) / 4,
    units: shape.rows * across * pieces,
    form,
  };
}

/** Lays some blocks of a tile out, whose blocks span all rows; the first one is the layout's first. */
export function layOutRun(tile: Tile, run: BlockRun, most: Form): Layout {
  const layout = layOut(tile, "histogram", 8, most);
  return { ...layout, across: run.count, units: layout.rows * run.count * layout.pieces };
}

/** Four F32 a block: inverse of the scale that makes the codes, stored scale in two parts, zero point. */
export function layOutParams(
  { scale, zero_point, code_scale = scale }: BlockParams,
  blocks: number,
): Float32Array<ArrayBuffer> {
  const params = new Float32Array(blocks * 4);
  const high = new Float32Array(1);
  const bits = new Uint32Array(high.buffer);
  for (let block = 0; block < blocks; block++) {
    high[0] = scale[block]!;
    bits[0] = bits[0]! & 0xffff_f000;
    params[block * 4] = 1 / code_scale[block]!;
    params[block * 4 + 1] = high[0]!;
    params[block * 4 + 2] = scale[block]! - high[0]!;
    params[block * 4 + 3] = zero_point[block]!;
  }
  return params;
}
