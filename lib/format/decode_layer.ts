/** Decodes layers of a written checkpoint to plain weights. */

import type { PlaceReader, WrittenLayer } from "./checkpoint_format.ts";
import { packerOf } from "./pack_rows.ts";
import { readRows } from "./row_order.ts";

/**
 * Reads a whole layer and decodes it: value = (code - zero_point) * scale, as the format rounds both.
 *
 * @returns [rows, columns] row by row, in the order of the model's rows.
 */
export async function decodeLayer(
  layer: WrittenLayer,
  files: PlaceReader,
): Promise<Float32Array> {
  const { rows, columns, bits, packing, headRows, codes: place } = layer;
  const packer = packerOf(packing, bits);
  const rowBytes = packer.bytesOf(columns);
  const bytes = new Uint8Array(rows * rowBytes);
  await readRows(files, { place, rowBytes, headRows, row: 0, column: 0 }, bytes);
  const { codes, within } = packer.unpack(bytes, { rows, columns });
  const { scale, offset } = within ?? await layer.readParams!(0, rows, files);
  const blockColumns = rows * columns / scale.length;
  const values = new Float32Array(rows * columns);
  for (let i = 0; i < values.length; i++) {
    const block = Math.floor(i / blockColumns);
    values[i] = codes[i]! * scale[block]! + offset[block]!;
  }
  return values;
}
