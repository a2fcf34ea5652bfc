/** Codes of each block, packed, and their sums. Kept dull on purpose: it is what other kernels are tested against. */

import { packedBytes, packRow } from "../pack_codes.ts";
import { decodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import { type Bits, qmaxOf } from "../../types.ts";
import {
  blockCount,
  type BlockParams,
  blocksAcross,
  type EncodedTile,
  SUMS_PER_BLOCK,
  type Tile,
} from "../kernels.ts";

/** Adding and subtracting 1.5 * 2^52 rounds a double to an integer, half to even. */
const ROUND = 1.5 * 2 ** 52;

/** See {@linkcode Kernels.encode}. */
export function encode(
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
): EncodedTile {
  const { rows, columns, blockRows, blockColumns, dtype } = tile;
  const across = blocksAcross(tile);
  const qmax = qmaxOf(bits);
  const sums = new Float64Array(blockCount(tile) * SUMS_PER_BLOCK);
  const outBytes = packedBytes(columns, bits);
  const packed = new Uint8Array(rows * outBytes);
  const values = new Float32Array(columns);
  const codes = new Uint8Array(columns);
  const rowBytes = columns * floatBytes(dtype);
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, values);
    let block = Math.floor(row / blockRows) * across;
    for (let start = 0; start < columns; start += blockColumns, block++) {
      const run = { start, end: Math.min(start + blockColumns, columns), qmax };
      const scale = params.scale[block]!;
      const zeroPoint = params.zero_point[block]!;
      encodeRun(values, codes, run, scale, zeroPoint, sums, block * SUMS_PER_BLOCK);
    }
    packRow(codes, bits, packed.subarray(row * outBytes, (row + 1) * outBytes));
  }
  return { packed, sums };
}

/** One row of one block. Clamping before rounding gives the same code, as both bounds are integers. */
function encodeRun(
  values: Float32Array,
  codes: Uint8Array,
  run: { start: number; end: number; qmax: number },
  scale: number,
  zeroPoint: number,
  sums: Float64Array,
  at: number,
): void {
  const inverse = Math.fround(1 / scale);
  const least = -zeroPoint;
  const most = run.qmax - zeroPoint;
  let signal = 0;
  let decoded = 0;
  let error = 0;
  for (let i = run.start; i < run.end; i++) {
    const x = values[i]!;
    const steps = Math.max(least, Math.min(most, Math.fround(x * inverse))) + ROUND - ROUND;
    codes[i] = steps + zeroPoint;
    const value = steps * scale;
    signal += x * x;
    decoded += value * value;
    error += (x - value) * (x - value);
  }
  sums[at] = sums[at]! + signal;
  sums[at + 1] = sums[at + 1]! + decoded;
  sums[at + 2] = sums[at + 2]! + error;
}
