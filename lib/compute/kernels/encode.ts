/** Codes of each block, packed, and their sums. Kept dull on purpose: it is what other kernels are tested against. */

import { packedBytes, packRow } from "../pack_codes.ts";
import { decodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import { type Bits, qmaxOf, type QualitySums } from "../../types.ts";
import { type BlockParams, blocksAcross, type EncodedTile, type Tile } from "../kernels.ts";

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
  const sums = { signal: 0, decoded: 0, error: 0 };
  const { scale, zero_point, code_scale = scale } = params;
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
      const own = {
        scale: scale[block]!,
        zeroPoint: zero_point[block]!,
        inverse: Math.fround(1 / code_scale[block]!),
      };
      encodeRun(values, codes, run, own, sums);
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
  { scale, zeroPoint, inverse }: { scale: number; zeroPoint: number; inverse: number },
  sums: QualitySums,
): void {
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
  sums.signal += signal;
  sums.decoded += decoded;
  sums.error += error;
}
