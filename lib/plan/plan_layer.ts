/** How a layer is quantized, as plain data: its blocks, its time axis, its widths. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { type FloatDtype, isFloatDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { groupSizeOf, LIMITS } from "../settings.ts";
import type { Bits, BlockGrid, Granularity, TimeAxis } from "../types.ts";
import { planTimeGroups } from "./plan_time_groups.ts";

/** How a layer is cut into blocks. */
export interface LayerGrid extends Pick<BlockGrid, "blockColumns"> {
  /**
   * Rows whose blocks share parameters: first row of each band, and the number of rows at the end: [B+1];
   * `null`: no two rows do.
   */
  bands: number[] | null;
  /** Columns of a block as it was made; `null` where a row, or a band, is one block. */
  groupSize: number | null;
  /** Whether the block size asked for did not divide the columns, so that another one is used. */
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
  /** What shares parameters. */
  granularity: Granularity;
  /** Columns of a block, see {@linkcode groupSizeOf}. */
  groupSize: number | "row" | undefined;
}

/**
 * Plans a layer: its steps are the rows of the matrix.
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
    grid: options.granularity === "row"
      ? { bands: null, ...cutRow(columns, groupSizeOf(options)) }
      : { bands: boundaries, ...cutBand(columns, groupSizeOf(options)) },
    axis: { source: "positional", boundaries },
  };
}

type RowBlocks = Omit<LayerGrid, "bands">;

/**
 * The blocks of a row: of the size wanted, else of the largest one below it that divides the columns,
 * since runtimes know no ragged block; where there is none, one block a row.
 *
 * @param wanted A multiple of 16; `null`: one block a row.
 */
function cutRow(columns: number, wanted: number | null): RowBlocks {
  const { max, multiple } = LIMITS.groupSize;
  const whole = { blockColumns: columns, groupSize: null };
  if (wanted === null && columns <= max) return { ...whole, fallback: false };
  const size = largestDivisor(columns, wanted ?? max, multiple);
  if (size === undefined) return { ...whole, fallback: true };
  if (size === columns && size !== wanted) return { ...whole, fallback: true };
  return { blockColumns: size, groupSize: size, fallback: size !== wanted };
}

/** The blocks of a band: of the size wanted where it divides the columns, else one. */
function cutBand(columns: number, wanted: number | null): RowBlocks {
  const fallback = wanted !== null && columns % wanted !== 0;
  const groupSize = fallback ? null : wanted;
  return { blockColumns: groupSize ?? columns, groupSize, fallback };
}

/** The largest divisor of a number that is a multiple of `step` and at most `most`. */
function largestDivisor(value: number, most: number, step: number): number | undefined {
  for (let size = Math.floor(most / step) * step; size > 0; size -= step) {
    if (value % size === 0) return size;
  }
  return undefined;
}

/** The module a weight belongs to: its name without `.weight`. */
export function moduleName(tensorName: string): string {
  return tensorName.endsWith(".weight") ? tensorName.slice(0, -".weight".length) : tensorName;
}
