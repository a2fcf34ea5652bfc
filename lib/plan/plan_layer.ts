/** How a layer is quantized, as plain data: its blocks, its time axis, its widths. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { type FloatDtype, isFloatDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { Bits, BlockGrid, TimeAxis } from "../types.ts";
import { planTimeGroups } from "./plan_time_groups.ts";

/** How the rows and columns of a layer are cut into blocks. */
export interface LayerGrid extends Pick<BlockGrid, "blockColumns"> {
  /** Rows whose blocks share parameters: first row of each band, and the number of rows at the end: [B+1]. */
  bands: number[];
  /** Columns of a block as asked for; `null` where a band is one block. */
  groupSize: number | null;
  /** Whether the block size asked for did not divide the columns, so that one block a band is used. */
  fallback: boolean;
}

/** A weight matrix that will be quantized. */
export interface LayerPlan {
  /** Module name: the tensor's without `.weight`. */
  name: string;
  /** The source tensor. */
  tensor: TensorInfo;
  /** Name of the shard that holds it. */
  shard: string;
  /** Dtype of the weights. */
  dtype: FloatDtype;
  /** Dtype of the stored scales. */
  scaleDtype: FloatDtype;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Width of a code. */
  bits: Bits;
  /** Its blocks. */
  grid: LayerGrid;
  /** Its steps and time groups. */
  axis: TimeAxis;
}

/** What decides how a layer is quantized. */
export interface LayerOptions {
  /** Width of a code. */
  bits: Bits;
  /** Time groups G. */
  timeGroups: number;
  /** Columns of a block; `undefined`: one block for each slice. */
  groupSize: number | undefined;
}

/**
 * Plans a layer: its steps are the rows of the matrix, and the rows of a time group share parameters.
 *
 * @param tensor A matrix [rows, columns] with at least `timeGroups` rows.
 * @param shard Name of the shard that holds it.
 * @throws {BadInputError} It is no matrix of F32, F16 or BF16, or has too few rows.
 */
export function planLayer(tensor: TensorInfo, shard: string, options: LayerOptions): LayerPlan {
  const [rows = 0, columns = 0] = tensor.shape;
  const { dtype } = tensor;
  if (!isFloatDtype(dtype)) throw new BadInputError(`Cannot quantize ${quote(tensor.name)}`);
  const boundaries = planTimeGroups(rows, options.timeGroups);
  return {
    name: moduleName(tensor.name),
    tensor,
    shard,
    dtype,
    // What every loader of the format expects: scales in the dtype of the model.
    scaleDtype: dtype,
    rows,
    columns,
    bits: options.bits,
    grid: planGrid(columns, boundaries, options.groupSize),
    axis: { source: "positional", boundaries },
  };
}

/** The blocks of a layer whose bands are given. The format forbids a ragged block: then a band is one block. */
function planGrid(columns: number, bands: number[], wanted: number | undefined): LayerGrid {
  const fallback = wanted !== undefined && columns % wanted !== 0;
  const groupSize = fallback ? null : wanted ?? null;
  return { bands, blockColumns: groupSize ?? columns, groupSize, fallback };
}

/** The module a weight belongs to: its name without `.weight`. */
export function moduleName(tensorName: string): string {
  return tensorName.endsWith(".weight") ? tensorName.slice(0, -".weight".length) : tensorName;
}
