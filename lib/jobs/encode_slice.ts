/** Makes the codes of a slice with given parameters, and writes them. */

import { blockCount, type BlockParams, SUMS_PER_BLOCK, type Tile } from "../compute/kernels.ts";
import { packedBytes } from "../compute/pack_codes.ts";
import type { TilePlan } from "../compute/plan_tiles.ts";
import { addSums } from "../params/measure_quality.ts";
import { rescaleSums } from "../params/rescale_sums.ts";
import type { Bits, QualitySums } from "../types.ts";
import { type Desk, firstBlockOf, halfOver, type OnBytes, readTile, tilesOf } from "./desk.ts";
import type { FilePlace, Slice } from "./slice.ts";

/** What a slice is encoded with: [blocks], row-major. */
export interface EncodeParams extends BlockParams {
  /** Scales that make the codes, where they are not the stored ones: normal F32 above 0. */
  code_scale?: Float32Array | undefined;
}

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
  params: EncodeParams;
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
    const { stored, coding } = paramsOfTile(slice, params, plan, tile);
    const { packed, sums } = await kernels.encode(bytes, tile, bits, coding, isHeld, !isKnown);
    // Before the bytes are written, since waiting for the disk lets others use the kernels' memory.
    if (!isKnown) total = addSums([total, ...blockSums(sums, stored, coding.scale)]);
    await write?.(plan, packed);
    await tell(bytes.length);
  }
  return total;
}

/** The parameters of a tile's blocks: the scales to be stored, and what makes the codes. */
function paramsOfTile(
  slice: Slice,
  { scale, zero_point, code_scale = scale }: EncodeParams,
  plan: TilePlan,
  tile: Tile,
): { stored: Float32Array; coding: BlockParams } {
  const first = firstBlockOf(slice, plan);
  const last = first + blockCount(tile);
  return {
    stored: scale.subarray(first, last),
    coding: {
      scale: code_scale.subarray(first, last),
      zero_point: zero_point.subarray(first, last),
    },
  };
}

/** The energies of each block of a tile, from those with its codes' scales. */
function blockSums(
  sums: Float64Array,
  stored: Float32Array,
  coding: Float32Array,
): QualitySums[] {
  return Array.from(stored, (scale, block) => {
    const [signal, decoded, error] = sums.subarray(block * SUMS_PER_BLOCK);
    const made = { signal: signal!, decoded: decoded!, error: error! };
    return rescaleSums(made, scale / coding[block]!);
  });
}
