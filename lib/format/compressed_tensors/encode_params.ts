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
  // Bands of a row each lie one behind the other already.
  const isRow = bands.length === end - first + 1;
  let scaleAt = first * blocks * floatBytes(scaleDtype);
  let zeroPointAt = packedBytes(first, bits) * blocks;
  for (let from = first; from < end; from += step) {
    const count = Math.min(step, end - from);
    const { scale, zero_point } = isRow
      ? viewRows(params, from - first, count)
      : expandBands(params, from, count);
    const scaleBytes = encodeFloats(scale, scaleDtype);
    const zeroPointBytes = packZeroPoints(zero_point, blocks, bits);
    yield { name: names.scale, offset: scaleAt, bytes: scaleBytes };
    yield { name: names.zeroPoint, offset: zeroPointAt, bytes: zeroPointBytes };
    scaleAt += scaleBytes.length;
    zeroPointAt += zeroPointBytes.length;
  }
}

type RowParams = Pick<LayerParams, "scale" | "zero_point">;

/** The parameters of so many bands of one row. */
function viewRows(
  { scale, zero_point, blocks }: LayerParams,
  row: number,
  count: number,
): RowParams {
  const [first, last] = [row * blocks, (row + count) * blocks];
  return { scale: scale.subarray(first, last), zero_point: zero_point.subarray(first, last) };
}

/** The parameters of so many rows, each those of its band. */
function expandBands(params: LayerParams, from: number, count: number): RowParams {
  const { bands, blocks } = params;
  const scale = new Float32Array(count * blocks);
  const zero_point = new Uint8Array(count * blocks);
  let band = 0;
  for (let row = 0; row < count; row++) {
    while (bands[band + 1]! <= from + row) band++;
    const [first, last] = [band * blocks, (band + 1) * blocks];
    scale.set(params.scale.subarray(first, last), row * blocks);
    zero_point.set(params.zero_point.subarray(first, last), row * blocks);
  }
  return { scale, zero_point };
}

/** Encodes the shape of a layer. */
export function encodeShape({ name, rows, columns }: LayerPlan): TensorPart {
  const shape = new BigInt64Array([BigInt(rows), BigInt(columns)]);
  return { name: packedNames(name).shape, offset: 0, bytes: new Uint8Array(shape.buffer) };
}
