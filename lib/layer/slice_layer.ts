/** What quantizing a layer needs to know, and how its rows are cut into the slices that jobs are about. */

import type { BlockParams } from "../compute/kernels.ts";
import { wholeWordRows } from "../compute/pack_codes.ts";
import type { RowOrder } from "../format/checkpoint_format.ts";
import type { Packing } from "../format/pack_rows.ts";
import { SLICE_BYTES } from "../jobs/desk.ts";
import { type CodesTarget, copyParams } from "../jobs/encode_slice.ts";
import type { BlockSpan } from "../jobs/read_values.ts";
import type { Bands, Slice } from "../jobs/slice.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import type { CompensationInputs, FilePlace, LayerParams, Scheme } from "../types.ts";

/** A layer, where it is read and where its codes go. */
export interface LayerJob extends RowOrder {
  /** The layer. */
  layer: LayerPlan;
  /** The source shard. */
  source: { path: string; label: string };
  /** First byte of its codes in the output. */
  target: FilePlace;
  /** How they are laid out. */
  packing: Packing;
  /** What is known of its inputs, where errors are compensated. */
  inputs?: CompensationInputs | undefined;
}

/** What of the settings a layer needs to know. */
export type PhaseSettings = Pick<
  QuantizeSettings,
  "granularity" | "phase" | "smoothingWindow" | "smoothingMethod" | "markovWeight"
>;

/** Told of parameters that are final: those of all rows of a layer, or of some. */
export type OnParams = (params: LayerParams) => Promise<void>;

/** A slice and where its codes go. */
export interface SliceJob extends CodesTarget {
  /** The slice. */
  slice: Slice;
}

/**
 * Rows [from, to) of a layer as a slice.
 *
 * @param blockRows Rows of a block.
 */
export function sliceRows(
  { layer, source, target, packing, headRows }: LayerJob,
  from: number,
  to: number,
  blockRows: number,
): SliceJob {
  const { columns, dtype, bits, tensor, grid: { blockColumns } } = layer;
  return {
    slice: {
      source: { ...source, begin: tensor.begin + from * columns * floatBytes(dtype) },
      dtype,
      rows: to - from,
      columns,
      blockRows,
      blockColumns,
    },
    bits,
    packing,
    target,
    row: from,
    headRows,
  };
}

/** What the parameters of a layer may be, without the rest of its plan. */
export function schemeOf({ bits, scaleDtype, symmetric }: LayerPlan): Scheme {
  return { bits, scaleDtype, symmetric };
}

/** A run of rows. */
export interface RowRun {
  /** First row. */
  from: number;
  /** The row behind the last one. */
  to: number;
}

/** Blocks at most whose parameters a job is given or gives back. */
const PIECE_BLOCKS = 2 ** 17;

/** Some rows of a layer in runs that one job takes, all but the last one as long that packed zero points end on a word. */
export function cutRows(
  { columns, dtype, grid: { blockColumns } }: LayerPlan,
  { from, to }: RowRun,
): RowRun[] {
  const step = wholeWordRows(Math.min(
    SLICE_BYTES / (columns * floatBytes(dtype)),
    PIECE_BLOCKS / (columns / blockColumns),
  ));
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => ({
    from: from + i * step,
    to: Math.min(to, from + (i + 1) * step),
  }));
}

/** Some bands of a layer, where their codes go, and which they are. */
export interface BandsJob {
  /** What a job about them holds. */
  job: SliceJob & Bands;
  /** The first. */
  first: number;
  /** The one behind the last. */
  last: number;
}

/** Bytes of weights up to which bands are one job: so few that another one hardly waits for it. */
const BAND_BYTES = 2 ** 19;

/**
 * The bands of a layer in runs that one job takes: those of few weights together, the others one by one.
 *
 * @param bands First row of each band, and the number of rows at the end.
 * @param isWanted Which of them; all unless given.
 */
export function gatherBands(
  job: LayerJob,
  bands: readonly number[],
  isWanted = (_band: number) => true,
): BandsJob[] {
  const { columns, dtype } = job.layer;
  const most = BAND_BYTES / (columns * floatBytes(dtype));
  const runs: BandsJob[] = [];
  for (let first = 0, last = 1; first < bands.length - 1; first = last++) {
    if (!isWanted(first)) continue;
    const row = bands[first]!;
    while (last + 1 < bands.length && bands[last + 1]! - row <= most && isWanted(last)) last++;
    const rows = bands[last]! - row;
    const own = bands.slice(first, last + 1).map((start) => start - row);
    runs.push({ job: { ...sliceRows(job, row, row + rows, rows), bands: own }, first, last });
  }
  return runs;
}

/** Some blocks side by side of all rows of a layer as a slice. */
export function sliceBlocks(job: LayerJob, { first, count }: BlockSpan): Slice {
  const { rows, columns, dtype, grid: { blockColumns } } = job.layer;
  const { slice } = sliceRows(job, 0, rows, rows);
  const begin = slice.source.begin + first * blockColumns * floatBytes(dtype);
  return {
    ...slice,
    source: { ...slice.source, begin },
    columns: count * blockColumns,
    stride: columns,
  };
}

/** The parameters of some bands: [B*K]. */
export function paramsOfBands(
  params: Omit<LayerParams, "bands">,
  { first, last }: Pick<BandsJob, "first" | "last">,
): BlockParams {
  return copyParams(params, first * params.blocks, last * params.blocks);
}
