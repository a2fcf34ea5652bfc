/** The parameters of rows that have blocks of their own: [rows * blocks] row by row. */

import { type BlockParams, roundCodeScale } from "../compute/kernels.ts";
import { copyParams, sliceParams } from "../jobs/encode_slice.ts";
import { type FloatDtype, roundScale } from "../safetensors/dtype.ts";
import type { LayerParams } from "../types.ts";
import type { RowRun } from "./slice_layer.ts";

/** Parameters that may still move, and which of them stand for weights. */
export interface KeptParams extends BlockParams {
  /** 1 where a block holds anything but zeros, else 0. */
  filled: Uint8Array;
}

/** Room for the parameters of so many blocks. */
export function keepParams(blocks: number, hasCodeScale: boolean): KeptParams {
  return {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    code_scale: hasCodeScale ? new Float32Array(blocks) : undefined,
    filled: new Uint8Array(blocks),
  };
}

/** Puts parameters in their place among those of all rows. */
export function putParams(all: KeptParams, first: number, params: KeptParams): void {
  all.scale.set(params.scale, first);
  all.zero_point.set(params.zero_point, first);
  all.filled.set(params.filled, first);
  if (params.code_scale !== undefined) all.code_scale?.set(params.code_scale, first);
}

/** The parameters of some rows among those of all: a view. */
export function viewParams(all: KeptParams, { from, to }: RowRun, blocks: number): KeptParams {
  const [first, last] = [from * blocks, to * blocks];
  return { ...sliceParams(all, first, last), filled: all.filled.subarray(first, last) };
}

/** A copy of the parameters of some rows, to be sent to a worker. */
export function copyRows(all: KeptParams, { from, to }: RowRun, blocks: number): BlockParams {
  return copyParams(all, from * blocks, to * blocks);
}

/** Multiplies the scales of blocks in place, but for all-zero ones, which have none of their own. */
export function multiplyScales(
  { scale, code_scale, filled }: KeptParams,
  ratio: number,
  dtype: FloatDtype,
): void {
  for (let block = 0; block < scale.length; block++) {
    if (filled[block] === 0) continue;
    scale[block] = roundScale(scale[block]! * ratio, dtype);
    if (code_scale !== undefined) code_scale[block] = roundCodeScale(code_scale[block]! * ratio);
  }
}

/** As they are stored: each row is a band. */
export function bandsOfRows(
  { scale, zero_point }: BlockParams,
  { from, to }: RowRun,
  blocks: number,
): LayerParams {
  const bands = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  return { bands, blocks, scale, zero_point };
}
