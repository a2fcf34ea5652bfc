/** Energies of codes as they decode, against the weights they were made from. */

import { decodeFloats, floatBytes, type FloatDtype } from "../../safetensors/dtype.ts";
import type { QualitySums } from "../../types.ts";
import type { TilePlan } from "../plan_tiles.ts";

/**
 * Adds the energies of a tile: value = code * scale + offset, in double precision.
 *
 * @param bytes [rows, columns] weights.
 * @param codes [rows, columns], 0 to qmax.
 * @param tile Any part of a matrix; `blockColumns` as in the whole of it.
 * @param params [rows * blocks] of the tile's rows, whole rows; `blocks` side by side.
 * @param total What is added to.
 */
export function measureCodes(
  bytes: Uint8Array,
  codes: Uint8Array,
  tile: TilePlan & { dtype: FloatDtype; blockColumns: number },
  params: { scale: Float64Array; offset: Float64Array; blocks: number },
  total: QualitySums,
): void {
  const { rows, column, columns, dtype, blockColumns } = tile;
  const values = new Float32Array(columns);
  const rowBytes = columns * floatBytes(dtype);
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, values);
    const first = row * columns;
    for (let from = 0; from < columns;) {
      const inRow = Math.floor((column + from) / blockColumns);
      const to = Math.min(columns, (inRow + 1) * blockColumns - column);
      const block = row * params.blocks + inRow;
      const [scale, offset] = [params.scale[block]!, params.offset[block]!];
      let [signal, decoded, error] = [0, 0, 0];
      for (let i = from; i < to; i++) {
        const x = values[i]!;
        const value = codes[first + i]! * scale + offset;
        signal += x * x;
        decoded += value * value;
        error += (x - value) * (x - value);
      }
      total.signal += signal;
      total.decoded += decoded;
      total.error += error;
      from = to;
    }
  }
}
