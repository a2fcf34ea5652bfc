/** The parameters of rows that have blocks of their own: [rows * blocks] row by row. */

import type { BlockParams } from "../compute/kernels.ts";
import { sliceParams } from "../jobs/encode_slice.ts";
import type { LayerParams } from "../types.ts";
import type { RowRun } from "./slice_layer.ts";

/** Room for the parameters of so many blocks. */
export function holdParams(blocks: number, hasCodeScale: boolean): BlockParams {
  return {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    code_scale: hasCodeScale ? new Float32Array(blocks) : undefined,
  };
}

/** Puts parameters in their place among those of all rows. */
export function putParams(all: BlockParams, first: number, params: BlockParams): void {
  all.scale.set(params.scale, first);
  all.zero_point.set(params.zero_point, first);
  if (params.code_scale !== undefined) all.code_scale?.set(params.code_scale, first);
}

/** The parameters of some rows among those of all: a view, which is not to be sent away: all would go along. */
export function viewParams(all: BlockParams, { from, to }: RowRun, blocks: number): BlockParams {
  return sliceParams(all, from * blocks, to * blocks);
}

/** A copy of the parameters of some rows. */
export function copyParams(all: BlockParams, run: RowRun, blocks: number): BlockParams {
  const { scale, zero_point, code_scale } = viewParams(all, run, blocks);
  return {
    scale: scale.slice(),
    zero_point: zero_point.slice(),
    code_scale: code_scale?.slice(),
  };
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
