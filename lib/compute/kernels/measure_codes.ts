/** Energies of codes as they decode, against the weights they were made from. */

import { decodeFloats, floatBytes, type FloatDtype } from "../../safetensors/dtype.ts";
import { type Bits, qmaxOf, type QualitySums } from "../../types.ts";
import { packedBytes } from "../pack_codes.ts";
import type { BlockParams } from "../kernels.ts";
import type { TilePlan } from "../plan_tiles.ts";

/**
 * Adds the energies of a tile: value = (code - zero_point) * scale, in double precision.
 *
 * @param bytes [rows, columns] weights.
 * @param packed Packed rows, see pack_codes.ts.
 * @param tile Its first column is a multiple of 16; `blockColumns` as in the whole matrix.
 * @param params [rows * blocks] of the tile's rows, whole rows; `blocks` side by side.
 * @param total What is added to.
 */
export function measureCodes(
  bytes: Uint8Array,
  packed: Uint8Array,
  tile: TilePlan & { dtype: FloatDtype; bits: Bits; blockColumns: number },
  params: BlockParams & { blocks: number },
  total: QualitySums,
): void {
  const { rows, column, columns, dtype, bits, blockColumns } = tile;
  const values = new Float32Array(columns);
  const rowBytes = columns * floatBytes(dtype);
  const codeBytes = packedBytes(columns, bits);
  const perByte = 8 / bits;
  const [shift, place, mask] = [Math.log2(perByte), perByte - 1, qmaxOf(bits)];
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, values);
    const codes = packed.subarray(row * codeBytes, (row + 1) * codeBytes);
    for (let from = 0; from < columns;) {
      const inRow = Math.floor((column + from) / blockColumns);
      const to = Math.min(columns, (inRow + 1) * blockColumns - column);
      const block = row * params.blocks + inRow;
      const [scale, zeroPoint] = [params.scale[block]!, params.zero_point[block]!];
      let [signal, decoded, error] = [0, 0, 0];
      for (let i = from; i < to; i++) {
        const code = (codes[i >> shift]! >> ((i & place) * bits)) & mask;
        const x = values[i]!;
        const value = (code - zeroPoint) * scale;
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
