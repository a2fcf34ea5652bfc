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

/** F32 of each block's parameters in {@linkcode layOutParams}. */
export const PARAM_FLOATS = 5;

/**
 * The parameters as the shader takes them: a power of 2, the inverse of the scale that makes the codes over
 * it, the stored scale times it in two parts, and the zero point.
 */
export function layOutParams(
  { scale, zero_point, code_scale = scale }: BlockParams,
  blocks: number,
): Float32Array<ArrayBuffer> {
  const params = new Float32Array(blocks * PARAM_FLOATS);
  const high = new Float32Array(1);
  const bits = new Uint32Array(high.buffer);
  for (let block = 0; block < blocks; block++) {
    const power = 2 ** -Math.floor(Math.log2(code_scale[block]!));
    const stored = scale[block]! * power;
    high[0] = stored;
    bits[0] = bits[0]! & 0xffff_f000;
    const at = block * PARAM_FLOATS;
    params[at] = power;
    params[at + 1] = Math.fround(1 / code_scale[block]!) / power;
    params[at + 2] = high[0]!;
    params[at + 3] = stored - high[0]!;
    params[at + 4] = zero_point[block]!;
  }
  return params;
}
