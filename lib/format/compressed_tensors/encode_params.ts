/** The parameters of a layer as the format stores them: a scale and a packed zero point for each row and block. */

import { packedBytes, packZeroPoints, wholeWordRows } from "../../compute/pack_codes.ts";
import type { LayerPlan } from "../../plan/plan_layer.ts";
import { encodeFloats, floatBytes } from "../../safetensors/dtype.ts";
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
 * Encodes the scales and the packed zero points of some rows of a layer, part by part. The rows of a band
 * share their parameters, so a standard loader reads them without knowing of time groups.
 *
 * @param params Of rows that begin where a word of packed zero points does.
 * @param most Parameters expanded at a time, about.
 */
export function* encodeParams(
  layer: LayerPlan,
  params: LayerParams,
  most: number = CHUNK_ELEMENTS,
): Generator<TensorPart> {
  const { bits, scaleDtype } = layer;
  const { blocks, bands } = params;
  const [first, end] = [bands[0]!, bands.at(-1)!];
  const names = packedNames(layer.name);
  const step = wholeWordRows(most / blocks);
  let band = 0;
  let scaleAt = first * blocks * floatBytes(scaleDtype);
  let zeroPointAt = packedBytes(first, bits) * blocks;
  for (let from = first; from < end; from += step) {
    const count = Math.min(step, end - from);
    const scale = new Float32Array(count * blocks);
    const zeroPoint = new Uint8Array(count * blocks);
    for (let row = 0; row < count;) {
      while (bands[band + 1]! <= from + row) band++;
      // Bands of a row each lie one behind the other already.
      const isRow = bands.length === end - first + 1;
      const rows = isRow ? count : 1;
      const [at, last] = [band * blocks, (band + rows) * blocks];
      scale.set(params.scale.subarray(at, last), row * blocks);
      zeroPoint.set(params.zero_point.subarray(at, last), row * blocks);
      row += rows;
    }
    const scaleBytes = encodeFloats(scale, scaleDtype);
    const zeroPointBytes = packZeroPoints(zeroPoint, blocks, bits);
    yield { name: names.scale, offset: scaleAt, bytes: scaleBytes };
    yield { name: names.zeroPoint, offset: zeroPointAt, bytes: zeroPointBytes };
    scaleAt += scaleBytes.length;
    zeroPointAt += zeroPointBytes.length;
  }
}

/** Encodes the shape of a layer. */
export function encodeShape({ name, rows, columns }: LayerPlan): TensorPart {
  const shape = new BigInt64Array([BigInt(rows), BigInt(columns)]);
  return { name: packedNames(name).shape, offset: 0, bytes: new Uint8Array(shape.buffer) };
}
