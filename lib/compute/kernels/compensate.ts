/**
 * Quantizes rows column by column, each weight moved by what the errors of those before it do to the layer's
 * output. Kept dull on purpose: it is what other kernels are tested against. What decides about codes is in F32
 * and in a fixed order, so that all kernels choose the same ones; sums are in F64.
 */

import { decodeFloats, floatBytes } from "../../safetensors/dtype.ts";
import {
  type Bits,
  type CompensationInputs,
  type OutputSums,
  qmaxOf,
  type QualitySums,
} from "../../types.ts";
import { packedBytes, packRow } from "../pack_codes.ts";
import { type BlockParams, blocksAcross, type EncodedTile, type Tile } from "../kernels.ts";

const { fround } = Math;

/** See {@linkcode Kernels.compensate}. */
export function compensate(
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
  inputs: CompensationInputs,
): EncodedTile {
  const { rows, columns, blockRows, dtype } = tile;
  const across = blocksAcross(tile);
  const rowBytes = columns * floatBytes(dtype);
  const outBytes = packedBytes(columns, bits);
  const packed = new Uint8Array(rows * outBytes);
  const weights = new Float32Array(columns);
  const codes = new Uint8Array(columns);
  const segments = inputs.segments?.map(() => ({ signal: 0, error: 0 }));
  const output: OutputSums = { signal: 0, error: 0, segments };
  const total = { signal: 0, decoded: 0, error: 0, output };
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, weights);
    const first = Math.floor(row / blockRows) * across;
    quantizeRow(weights, codes, { first, columns: tile.blockColumns, bits }, params, inputs, total);
    for (const [i, moments] of inputs.segments?.entries() ?? []) {
      measureRow(weights, codes, { first, columns: tile.blockColumns }, params, {
        ...moments,
        order: inputs.order,
      }, segments![i]!);
    }
    packRow(codes, bits, packed.subarray(row * outBytes, (row + 1) * outBytes));
  }
  return { packed, sums: total };
}

function quantizeRow(
  weights: Float32Array,
  codes: Uint8Array,
  blocks: { first: number; columns: number; bits: Bits },
  { scale, zero_point, code_scale = scale }: BlockParams,
  { rank, order, sketch, gains, diagonal }: CompensationInputs,
  total: QualitySums & { output: OutputSums },
): void {
  const qmax = qmaxOf(blocks.bits);
  const errors = new Float32Array(rank);
  const signals = new Float32Array(rank);
  let moved = 0;
  for (const [p, column] of order.entries()) {
    const block = blocks.first + Math.floor(column / blocks.columns);
    const zeroPoint = zero_point[block]!;
    const inverse = fround(1 / code_scale[block]!);
    const w = weights[column]!;
    const steps = roundHalfEven(
      Math.max(-zeroPoint, Math.min(qmax - zeroPoint, fround(fround(w - moved) * inverse))),
    );
    codes[column] = steps + zeroPoint;
    const v = fround(steps * scale[block]!);
    const d = fround(v - w);
    total.signal += w * w;
    total.decoded += v * v;
    total.error += d * d;
    total.output.signal += w * w * diagonal[p]!;
    total.output.error += d * d * diagonal[p]!;
    // The errors as they are then, and what they will move the next column by: in two sums.
    const dot = new Float32Array(2);
    const next = (p + 1) * rank;
    for (let k = 0; k < rank; k++) {
      const x = sketch[p * rank + k]!;
      errors[k] = errors[k]! + fround(x * d);
      signals[k] = signals[k]! + fround(x * w);
      if (p + 1 < order.length) dot[k % 2] = dot[k % 2]! + fround(gains[next + k]! * errors[k]!);
    }
    moved = fround(dot[0]! + dot[1]!);
  }
  total.output.signal += squaresOf(signals);
  total.output.error += squaresOf(errors);
}

/** Adds what a row's codes come to by other moments than those they were made with. */
function measureRow(
  weights: Float32Array,
  codes: Uint8Array,
  blocks: { first: number; columns: number },
  { scale, zero_point }: BlockParams,
  { rank, order, sketch, diagonal }: Omit<CompensationInputs, "gains">,
  total: { signal: number; error: number },
): void {
  const errors = new Float32Array(rank);
  const signals = new Float32Array(rank);
  for (const [p, column] of order.entries()) {
    const block = blocks.first + Math.floor(column / blocks.columns);
    const w = weights[column]!;
    const d = fround(fround((codes[column]! - zero_point[block]!) * scale[block]!) - w);
    total.signal += w * w * diagonal[p]!;
    total.error += d * d * diagonal[p]!;
    for (let k = 0; k < rank; k++) {
      const x = sketch[p * rank + k]!;
      errors[k] = errors[k]! + fround(x * d);
      signals[k] = signals[k]! + fround(x * w);
    }
  }
  total.signal += squaresOf(signals);
  total.error += squaresOf(errors);
}

function roundHalfEven(value: number): number {
  return value + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}

function squaresOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
