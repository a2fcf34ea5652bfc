/** Decodes the codes of a slice from a file and measures them against the weights they were made from. */

import { measureCodes } from "../compute/kernels/measure_codes.ts";
import type { BlockParams } from "../compute/kernels.ts";
import { packedBytes } from "../compute/pack_codes.ts";
import { planTiles } from "../compute/plan_tiles.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { Bits, QualitySums } from "../types.ts";
import { type Desk, readTile } from "./desk.ts";
import type { FilePlace, Slice } from "./slice.ts";

/** Asks for the energies of a slice as its codes decode. */
export interface CheckJob {
  verb: "check";
  /** The weights; each row has blocks of its own, of any width that divides the columns. */
  slice: Slice;
  /** Width of a code. */
  bits: Bits;
  /** Where the packed rows lie. */
  codes: FilePlace;
  /** [rows * blocks] row by row. */
  params: BlockParams;
}

/** Runs the job. */
export async function checkSlice(job: CheckJob, desk: Desk): Promise<QualitySums> {
  const { slice, bits, codes, params } = job;
  const { columns, blockColumns, dtype } = slice;
  const rowBytes = packedBytes(columns, bits);
  const total: QualitySums = { signal: 0, decoded: 0, error: 0 };
  const most = desk.kernels.tileBytes / floatBytes(dtype);
  // Cut without regard to blocks, which may be of a width that ends inside a word of codes.
  for (const plan of planTiles({ ...slice, blockRows: 1, blockColumns: columns }, most)) {
    const bytes = await readTile(desk, slice, plan, false);
    const packed = new Uint8Array(plan.rows * packedBytes(plan.columns, bits));
    await desk.files.read(codes, plan.row * rowBytes + (plan.column * bits) / 8, packed);
    const first = plan.row * (columns / blockColumns);
    measureCodes(bytes, packed, { ...plan, dtype, bits, blockColumns }, {
      scale: params.scale.subarray(first),
      zero_point: params.zero_point.subarray(first),
      blocks: columns / blockColumns,
    }, total);
    await desk.onBytes(bytes.length);
  }
  return total;
}
