/** Rates what rows lose if all their scales are multiplied by a ratio; writes nothing. */

import { type BlockParams, roundCodeScale } from "../compute/kernels.ts";
import { roundHalfEven } from "../params/estimate_params.ts";
import { decodeFloats, floatBytes, type FloatDtype, roundScale } from "../safetensors/dtype.ts";
import { type Bits, qmaxOf } from "../types.ts";
import { type Desk, firstBlockOf, readAlone, tilesOfRows } from "./desk.ts";
import type { Slice } from "./slice.ts";

/** Asks for the errors of rows, one for each ratio. */
export interface RateRatiosJob {
  verb: "rateRatios";
  /** Its blocks lie in one row each, and are not wider than a tile. */
  slice: Slice;
  /** Width of a code. */
  bits: Bits;
  /** [rows * blocks] row by row. */
  params: BlockParams;
  /** Dtype of the stored scales. */
  scaleDtype: FloatDtype;
  /** What scales are multiplied by. */
  ratios: readonly number[];
  /** The errors are sums of |x - v|^norm. */
  norm: 3 | 4 | 8;
}

/** Runs the job: a sum for each ratio, in the order of the weights, so that every backend gives the same. */
export async function rateRatios(
  { slice, bits, params, scaleDtype, ratios, norm }: RateRatiosJob,
  desk: Desk,
): Promise<Float64Array> {
  const { blockColumns, dtype } = slice;
  const width = floatBytes(dtype);
  const errors = new Float64Array(ratios.length);
  const values = new Float32Array(blockColumns);
  for (const [plan] of tilesOfRows(slice, desk)) {
    const bytes = await readAlone(desk, slice, plan);
    let block = firstBlockOf(slice, plan);
    for (let at = 0; at < bytes.length; at += blockColumns * width, block++) {
      decodeFloats(bytes.subarray(at, at + blockColumns * width), dtype, values);
      const { scale, zero_point, code_scale = scale } = params;
      for (const [i, ratio] of ratios.entries()) {
        const own = {
          scale: roundScale(scale[block]! * ratio, scaleDtype),
          inverse: Math.fround(1 / roundCodeScale(code_scale[block]! * ratio)),
          zeroPoint: zero_point[block]!,
        };
        errors[i] = errors[i]! + sumErrors(values, own, bits, norm);
      }
    }
  }
  return errors;
}

/** The sum of |x - v|^norm over a block. */
function sumErrors(
  values: Float32Array,
  { scale, inverse, zeroPoint }: { scale: number; inverse: number; zeroPoint: number },
  bits: Bits,
  norm: 3 | 4 | 8,
): number {
  const [least, most] = [-zeroPoint, qmaxOf(bits) - zeroPoint];
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    const steps = Math.min(Math.max(roundHalfEven(Math.fround(x * inverse)), least), most);
    const distance = Math.abs(x - steps * scale);
    const square = distance * distance;
    const fourth = square * square;
    sum += norm === 3 ? square * distance : norm === 4 ? fourth : fourth * fourth;
  }
  return sum;
}
