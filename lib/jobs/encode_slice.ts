/** Makes the codes of a slice with given parameters, and writes them. */

import { blockCount, type BlockParams, type Tile } from "../compute/kernels.ts";
import { packedBytes } from "../compute/pack_codes.ts";
import type { TilePlan } from "../compute/plan_tiles.ts";
import { addSums } from "../params/measure_quality.ts";
import type { Bits, QualitySums } from "../types.ts";
import { type Desk, firstBlockOf, halfOver, type OnBytes, readTile, tilesOf } from "./desk.ts";
import type { FilePlace, Slice } from "./slice.ts";

/** Where the codes of a slice go. */
export interface CodesTarget {
  /** Width of a code. */
  bits: Bits;
  /** Where the packed rows go; the file exists and has its final length. */
  target: FilePlace;
}

/** Asks for a slice to be encoded; gives its energies. */
export interface EncodeJob extends CodesTarget {
  verb: "encode";
  slice: Slice;
  params: BlockParams;
  /** Whether the energies are known already: those that come back are then of no use. */
  isKnown?: boolean;
}

/** Runs the job. */
export function encodeSlice(job: EncodeJob, desk: Desk): Promise<QualitySums> {
  return writeCodes(job, desk, false, halfOver(1, desk.onBytes));
}

/**
 * Encodes a slice and writes its packed rows.
 *
 * @param isHeld Whether the slice is in the kernels' buffer.
 */
export function writeCodes(
  job: Omit<EncodeJob, "verb">,
  desk: Desk,
  isHeld: boolean,
  tell: OnBytes,
): Promise<QualitySums> {
  const { slice, bits, target } = job;
  const rowBytes = packedBytes(slice.columns, bits);
  return encodeTiles(job, desk, isHeld, tell, (plan, packed) => {
    return desk.files.write(target, plan.row * rowBytes + (plan.column * bits) / 8, packed);
  });
}

/** @param write Takes the packed bytes of each tile; without it they are dropped. */
export async function encodeTiles(
  { slice, bits, params, isKnown = false }: Omit<EncodeJob, "verb" | "target">,
  desk: Desk,
  isHeld: boolean,
  tell: OnBytes,
  write?: (plan: TilePlan, packed: Uint8Array) => Promise<void> | void,
): Promise<QualitySums> {
  const { kernels } = desk;
  let total: QualitySums = { signal: 0, decoded: 0, error: 0 };
  for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
    const bytes = await readTile(desk, slice, plan, isHeld);
    const own = paramsOfTile(slice, params, plan, tile);
    const { packed, sums } = await kernels.encode(bytes, tile, bits, own, isHeld, !isKnown);
    total = addSums([total, sums]);
    await write?.(plan, packed);
    await tell(bytes.length);
  }
  return total;
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
