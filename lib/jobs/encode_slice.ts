/** Makes the codes of a slice with given parameters, and writes them. */

import { blockCount, type BlockParams, type Tile } from "../compute/kernels.ts";
import type { TilePlan } from "../compute/plan_tiles.ts";
import type { RowOrder } from "../format/checkpoint_format.ts";
import { packerOf, type Packing } from "../format/pack_rows.ts";
import { writeRows } from "../format/row_order.ts";
import { addSums } from "../params/measure_quality.ts";
import type { Bits, CompensationInputs, FilePlace, QualitySums } from "../types.ts";
import {
  type Desk,
  firstBlockOf,
  halfOver,
  type OnBytes,
  readTile,
  tilesOf,
  wholeRowsOf,
} from "./desk.ts";
import { type Bands, cutBands, type Slice } from "./slice.ts";

/** Where the codes of a slice go. */
export interface CodesTarget extends RowOrder {
  /** Width of a code. */
  bits: Bits;
  /** How rows of codes are laid out. */
  packing: Packing;
  /** Where the first row of the layer goes; the file exists and has its final length. */
  target: FilePlace;
  /** The row of the layer that the slice begins with. */
  row: number;
}

/** Asks for bands to be encoded; gives the energies of each. */
export interface EncodeJob extends CodesTarget, Bands {
  verb: "encode";
  /** Of the blocks of all bands. */
  params: BlockParams;
  /** The layer's inputs, where errors are compensated. */
  inputs?: CompensationInputs | undefined;
  /** Whether the energies are known already: those that come back are then of no use. */
  isKnown?: boolean;
}

/** Runs the job. */
export async function encodeBands(job: EncodeJob, desk: Desk): Promise<QualitySums[]> {
  const tell = halfOver(1, desk.onBytes);
  const found: QualitySums[] = [];
  for (const { slice, row, blocks } of cutBands(job)) {
    const params = sliceParams(job.params, blocks.first, blocks.first + blocks.count);
    const own = { ...job, slice, row: job.row + row, params };
    found.push(await writeCodes(own, desk, false, tell));
  }
  return found;
}

/** Asks for the energies of bands with given parameters; writes nothing, and is not told of as progress. */
export interface AssessJob extends Bands {
  verb: "assess";
  /** Width of a code. */
  bits: Bits;
  /** Of the blocks of all bands. */
  params: BlockParams;
}

/** Runs the job. */
export async function assessBands(job: AssessJob, desk: Desk): Promise<QualitySums[]> {
  const found: QualitySums[] = [];
  for (const { slice, blocks } of cutBands(job)) {
    const params = sliceParams(job.params, blocks.first, blocks.first + blocks.count);
    found.push(await encodeTiles({ slice, bits: job.bits, params }, desk, false, () => {}));
  }
  return found;
}

/**
 * Encodes a slice and writes its packed rows.
 *
 * @param isHeld Whether the slice is in the kernels' buffer.
 */
export function writeCodes(
  job: Encoding & CodesTarget,
  desk: Desk,
  isHeld: boolean,
  tell: OnBytes,
): Promise<QualitySums> {
  return encodeTiles(job, desk, isHeld, tell, (plan, tile, packed, params) => {
    return writeTile(job, desk, plan, tile, packed, params);
  });
}

/**
 * Writes the codes of a tile as the format lays them out.
 *
 * @param packed Rows of words, as kernels give them.
 * @param params [blocks] of the tile.
 */
export async function writeTile(
  { slice, bits, packing, target, row, headRows }: CodesTarget & { slice: Slice },
  { files }: Desk,
  plan: TilePlan,
  tile: Tile,
  packed: Uint8Array<ArrayBuffer>,
  params: BlockParams,
): Promise<void> {
  const { bytesOf, pack } = packerOf(packing, bits);
  const rowBytes = bytesOf(slice.columns);
  const span = {
    place: target,
    rowBytes,
    headRows,
    row: row + plan.row,
    column: bytesOf(plan.column),
  };
  await writeRows(files, span, pack(packed, tile, params));
}

/** What is encoded, and how. */
type Encoding = Pick<EncodeJob, "slice" | "bits" | "params" | "inputs" | "isKnown">;

/** @param write Takes the packed words of each tile; without it they are dropped. */
export async function encodeTiles(
  { slice, bits, params, inputs, isKnown = false }: Encoding,
  desk: Desk,
  isHeld: boolean,
  tell: OnBytes,
  write?: (
    plan: TilePlan,
    tile: Tile,
    packed: Uint8Array<ArrayBuffer>,
    params: BlockParams,
  ) => Promise<void>,
): Promise<QualitySums> {
  const { kernels } = desk;
  const found: QualitySums[] = [];
  const tiles = inputs === undefined ? tilesOf(slice, kernels.tileBytes) : wholeRowsOf(slice, desk);
  for (const [plan, tile] of tiles) {
    const bytes = await readTile(desk, slice, plan, isHeld);
    const own = paramsOfTile(slice, params, plan, tile);
    const { packed, sums } = inputs === undefined
      ? await kernels.encode(bytes, tile, bits, own, isHeld, !isKnown)
      : await kernels.compensate(bytes, tile, bits, own, inputs);
    found.push(sums);
    await write?.(plan, tile, packed, own);
    await tell(bytes.length);
  }
  return addSums(found);
}

/** The parameters of a tile's blocks. */
function paramsOfTile(slice: Slice, params: BlockParams, plan: TilePlan, tile: Tile): BlockParams {
  const first = firstBlockOf(slice, plan);
  return sliceParams(params, first, first + blockCount(tile));
}

/** A copy of the parameters of blocks `first` to `last`, to be sent to a worker: of a view all would go along. */
export function copyParams(params: BlockParams, first: number, last: number): BlockParams {
  return {
    scale: params.scale.slice(first, last),
    zero_point: params.zero_point.slice(first, last),
    code_scale: params.code_scale?.slice(first, last),
  };
}

/** A view of the parameters of blocks `first` (inclusive) to `last` (exclusive). */
export function sliceParams(params: BlockParams, first: number, last: number): BlockParams {
  return {
    scale: params.scale.subarray(first, last),
    zero_point: params.zero_point.subarray(first, last),
    code_scale: params.code_scale?.subarray(first, last),
  };
}
