/** Decodes the codes of a slice from a file and measures them against the weights they were made from. */

import { measureCodes } from "../compute/kernels/measure_codes.ts";
import { planTiles } from "../compute/plan_tiles.ts";
import { type AffineParams, packerOf } from "../format/pack_rows.ts";
import { readRows } from "../format/row_order.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { QualitySums } from "../types.ts";
import { type Desk, readTile } from "./desk.ts";
import type { CodesTarget } from "./encode_slice.ts";
import type { Slice } from "./slice.ts";

/** Asks for the energies of a slice as its codes decode. */
export interface CheckJob extends Omit<CodesTarget, "target"> {
  verb: "check";
  /** The weights; each row has blocks of its own, of any width that divides the columns. */
  slice: Slice;
  /** Where the codes of the layer lie. */
  codes: CodesTarget["target"];
  /** [rows * blocks] row by row; absent where they lie among the codes. */
  params?: AffineParams | undefined;
}

/** Runs the job. */
export async function checkSlice(job: CheckJob, desk: Desk): Promise<QualitySums> {
  const { slice, bits, packing, codes: place, row, headRows, params } = job;
  const { columns, blockColumns, dtype } = slice;
  const { bytesOf, unpack } = packerOf(packing, bits);
  const rowBytes = bytesOf(columns);
  const total: QualitySums = { signal: 0, decoded: 0, error: 0 };
  const most = desk.kernels.tileBytes / floatBytes(dtype);
  // Cut without regard to blocks, which may be of a width that ends inside a word of codes.
  for (const plan of planTiles({ ...slice, blockRows: 1, blockColumns: columns }, most)) {
    const bytes = await readTile(desk, slice, plan, false);
    const stored = new Uint8Array(plan.rows * bytesOf(plan.columns));
    const span = { place, rowBytes, headRows, row: row + plan.row, column: bytesOf(plan.column) };
    await readRows(desk.files, span, stored);
    const { codes, within } = unpack(stored, plan);
    if (within === undefined) {
      const blocks = columns / blockColumns;
      measureCodes(bytes, codes, { ...plan, dtype, blockColumns }, {
        scale: params!.scale.subarray(plan.row * blocks),
        offset: params!.offset.subarray(plan.row * blocks),
        blocks,
      }, total);
    } else {
      const blocks = within.scale.length / plan.rows;
      const grid = { ...plan, column: 0, dtype, blockColumns: plan.columns / blocks };
      measureCodes(bytes, codes, grid, { ...within, blocks }, total);
    }
    await desk.onBytes(bytes.length);
  }
  return total;
}
