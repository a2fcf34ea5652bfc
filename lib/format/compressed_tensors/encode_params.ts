/** The parameters of a layer as the format stores them: a scale and a packed zero point for each row and block. */

import { packZeroPoints, wholeWordRows } from "../../compute/pack_codes.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats } from "../../safetensors/dtype.ts";
import type { LayerParams } from "../../types.ts";
import { packedNames } from "./plan_checkpoint.ts";

/** Parameters expanded at a time, about: whole rows. */
const CHUNK_ELEMENTS = 2 ** 19;

/** Bytes of a tensor. */
export interface TensorPart {
  /** The tensor. */
  name: string;
  /** First byte of the part in it. */
  offset: number;
  /** The part. */
  bytes: Uint8Array;
}

/**
 * Encodes the scales, the packed zero points and the shape of a layer, part by part. The rows of a band
 * share their parameters, so a standard loader reads them without knowing of time groups.
 *
 * @param most Parameters expanded at a time, about.
 */
export function* encodeParams(
  layer: LayerPlan,
  params: LayerParams,
  most: number = CHUNK_ELEMENTS,
): Generator<TensorPart> {
  const { rows, columns, bits, scaleDtype } = layer;
  const { blocks, bands } = params;
  const names = packedNames(layer.name);
  const step = wholeWordRows(most / blocks);
  let [scaleAt, zeroPointAt, band] = [0, 0, 0];
  for (let from = 0; from < rows; from += step) {
    const count = Math.min(step, rows - from);
    const scale = new Float32Array(count * blocks);
    const zeroPoint = new Uint8Array(count * blocks);
    for (let row = 0; row < count; row++) {
      while (bands[band + 1]! <= from + row) band++;
      const [first, last] = [band * blocks, (band + 1) * blocks];
      scale.set(params.scale.subarray(first, last), row * blocks);
      zeroPoint.set(params.zero_point.subarray(first, last), row * blocks);
    }
    const scaleBytes = encodeFloats(scale, scaleDtype);
    const zeroPointBytes = packZeroPoints(zeroPoint, blocks, bits);
    yield { name: names.scale, offset: scaleAt, bytes: scaleBytes };
    yield { name: names.zeroPoint, offset: zeroPointAt, bytes: zeroPointBytes };
    scaleAt += scaleBytes.length;
    zeroPointAt += zeroPointBytes.length;
  }
  const shape = new BigInt64Array([BigInt(rows), BigInt(columns)]);
  yield { name: names.shape, offset: 0, bytes: new Uint8Array(shape.buffer) };
}
