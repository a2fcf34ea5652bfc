/** How a layer is quantized, as plain data: its blocks, its time axis, its widths. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { type FloatDtype, isFloatDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { groupSizeOf, LIMITS, type QuantizeSettings } from "../settings/settings.ts";
import type { Bits, BlockGrid, Granularity, Scheme, TimeAxis } from "../types.ts";
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
export interface LayerPlan extends Scheme {
  /** Module name: the tensor's without `.weight`. */
  name: string;
  /** The source tensor. */
  tensor: TensorInfo;
  /** Name of the shard that holds it. */
  shard: string;
  /** Dtype of the weights. */
  dtype: FloatDtype;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
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
  /** Columns of a block; `null`: one block a row, or one a slice. */
  groupSize: number | null;
  /** Whether symmetric parameters are asked for. */
  symmetric: boolean;
}

/** What a checkpoint format can store of a layer, as far as a plan depends on it. */
export interface LayerStorage {
  /** Dtype of the stored scales of weights of a dtype. */
  scaleDtype(dtype: FloatDtype, bits: Bits): FloatDtype;
  /** Whether parameters are symmetric, asked for or not. */
  isSymmetric(bits: Bits, asked: boolean): boolean;
  /** Whether it can store blocks of so many columns of a row. */
  holds(bits: Bits, blockColumns: number, columns: number): boolean;
}

/** How the layers of a run are quantized. */
export function layerOptions(settings: QuantizeSettings): LayerOptions {
  const { bits, timeGroups, granularity, symmetric } = settings;
  return { bits, timeGroups, granularity, groupSize: groupSizeOf(settings), symmetric };
}

/** How modulation layers are quantized: 8 bits by rows; `undefined`: they are left alone. */
export function modulationOptions(settings: QuantizeSettings): LayerOptions | undefined {
  const { modulation: bits, format } = settings;
  if (bits === "keep") return undefined;
  if (bits === 4) return layerOptions({ ...settings, bits });
  // The blocks of Q8_0 are narrower than rows and can be nothing else.
  const groupSize = format === "gguf" ? undefined : "row";
  return layerOptions({ ...settings, bits, granularity: "row", groupSize });
}

/**
 * Plans a layer: its steps are the rows of the matrix.
 *
 * @param tensor A matrix [rows, columns] with at least `timeGroups` rows.
 * @param shard Name of the shard that holds it.
 * @param planAxis Gives the axis of so many rows, see {@linkcode planAxisOf}.
 * @returns `undefined`: the format cannot store it.
 * @throws {BadInputError} It is no matrix of F32, F16 or BF16, or has too few rows.
 */
export function planLayer(
  tensor: TensorInfo,
  shard: string,
  options: LayerOptions,
  storage: LayerStorage,
  planAxis: (rows: number) => TimeAxis = planAxisOf(options),
): LayerPlan | undefined {
  const [rows = 0, columns = 0] = tensor.shape;
  const { dtype } = tensor;
  if (!isFloatDtype(dtype)) throw new BadInputError(`Cannot quantize ${quote(tensor.name)}`);
  const { bits, granularity, groupSize } = options;
  const axis = planAxis(rows);
  const holds = (blockColumns: number) => storage.holds(bits, blockColumns, columns);
  const blocks = granularity === "row"
    ? cutRow(columns, groupSize, holds)
    : cutBand(columns, groupSize, holds);
  if (blocks === undefined) return undefined;
  return {
    name: moduleName(tensor.name),
    tensor,
    shard,
    dtype,
    bits,
    scaleDtype: storage.scaleDtype(dtype, bits),
    symmetric: storage.isSymmetric(bits, options.symmetric),
    rows,
    columns,
    grid: { bands: granularity === "row" ? null : axis.boundaries, ...blocks },
    axis,
  };
}

/** Plans the axes of layers, one for all that have as many rows: a hundred thousand of them take memory. */
export function planAxisOf(
  { timeGroups }: Pick<LayerOptions, "timeGroups">,
): (rows: number) => TimeAxis {
  const known = new Map<number, TimeAxis>();
  return (rows) => {
    const axis = known.get(rows) ??
      { source: "positional", boundaries: planTimeGroups(rows, timeGroups) };
    known.set(rows, axis);
    return axis;
  };
}

type RowBlocks = Omit<LayerGrid, "bands">;

/** Whether blocks of so many columns can be stored. */
type Holds = (blockColumns: number) => boolean;

/**
 * The blocks of a row: of the size wanted, else of the largest one below it that divides the columns,
 * since runtimes know no ragged block; where there is none, one block a row.
 *
 * @param wanted A multiple of 16; `null`: one block a row.
 */
function cutRow(columns: number, wanted: number | null, holds: Holds): RowBlocks | undefined {
  const { max } = LIMITS.groupSize;
  const whole = { blockColumns: columns, groupSize: null };
  if (wanted === null && columns <= max && holds(columns)) return { ...whole, fallback: false };
  const size = largestDivisor(columns, wanted ?? max, holds);
  if (size === undefined || (size === columns && size !== wanted)) {
    return holds(columns) ? { ...whole, fallback: true } : undefined;
  }
  return { blockColumns: size, groupSize: size, fallback: size !== wanted };
}

/** The blocks of a band: of the size wanted where it divides the columns, else one. */
function cutBand(columns: number, wanted: number | null, holds: Holds): RowBlocks | undefined {
  const fallback = wanted !== null && columns % wanted !== 0;
  const groupSize = fallback ? null : wanted;
  const blockColumns = groupSize ?? columns;
  return holds(blockColumns) ? { blockColumns, groupSize, fallback } : undefined;
}

/** The largest divisor of a number that a block may have as its size, at most `most`. */
function largestDivisor(value: number, most: number, holds: Holds): number | undefined {
  const { multiple } = LIMITS.groupSize;
  for (let size = Math.floor(most / multiple) * multiple; size > 0; size -= multiple) {
    if (value % size === 0 && holds(size)) return size;
  }
  return undefined;
}

/** The module a weight belongs to: its name without `.weight`. */
export function moduleName(tensorName: string): string {
  return tensorName.endsWith(".weight") ? tensorName.slice(0, -".weight".length) : tensorName;
}

/**
 * The name of a layer, tensor or file in what is said of a run.
 *
 * @param component The folder of its model in a pipeline; empty for a model of its own.
 */
export function fullName(component: string, name: string): string {
  return component === "" ? name : `${component}/${name}`;
}
