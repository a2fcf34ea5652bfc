/** What a job works with, and how it gets the tiles of a slice. One job at a time: the kernels have one buffer. */

import type { Kernels, Tile } from "../compute/kernels.ts";
import { planTiles, type TilePlan } from "../compute/plan_tiles.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { OpenFiles } from "./open_files.ts";
import type { Slice } from "./slice.ts";

/** Bytes of a slice kept in memory between two passes over it; a larger one is read again. */
export const SLICE_BYTES = 16 * 2 ** 20;

/** Called with source bytes worked through; may wait, or throw to stop the run. */
export type OnBytes = (bytes: number) => Promise<void> | void;

/** What a job works with. */
export interface Desk {
  /** What computes; nobody else's. */
  kernels: Kernels;
  /** What it reads and writes. */
  files: OpenFiles;
  /** Who is told of progress. */
  onBytes: OnBytes;
}

/** Bytes of a slice's weights. */
function sliceBytes({ rows, columns, dtype }: Slice): number {
  return rows * columns * floatBytes(dtype);
}

/** Whether a slice stays in the kernels' buffer after a pass over it. */
export function fitsInBuffer(slice: Slice): boolean {
  return sliceBytes(slice) <= SLICE_BYTES;
}

/** The tiles of a slice, and how each is cut into blocks. */
export function* tilesOf(slice: Slice, tileBytes: number): Generator<[TilePlan, Tile]> {
  const { blockRows, blockColumns, dtype } = slice;
  for (const plan of planTiles(slice, tileBytes / floatBytes(dtype))) {
    yield [plan, {
      dtype,
      rows: plan.rows,
      columns: plan.columns,
      blockRows: Math.min(blockRows, plan.rows),
      blockColumns: Math.min(blockColumns, plan.columns),
    }];
  }
}

/** The tiles of a slice whose blocks lie in one row each, of which none is cut. */
export function tilesOfRows(slice: Slice, { kernels }: Desk): Generator<[TilePlan, Tile]> {
  return tilesOf(slice, Math.max(kernels.tileBytes, slice.blockColumns * floatBytes(slice.dtype)));
}

/** The tiles of a slice, of which each has whole rows. */
export function wholeRowsOf(slice: Slice, { kernels }: Desk): Generator<[TilePlan, Tile]> {
  return tilesOf(slice, Math.max(kernels.tileBytes, slice.columns * floatBytes(slice.dtype)));
}

/** The block of a slice that a tile begins with or lies in, in row-major order. */
export function firstBlockOf(slice: Slice, plan: TilePlan): number {
  const { columns, blockRows, blockColumns } = slice;
  const above = Math.floor(plan.row / blockRows) * (columns / blockColumns);
  return above + Math.floor(plan.column / blockColumns);
}

/** Where a tile's bytes lie in a slice's, and how many they are. */
function spanOf({ columns, dtype }: Slice, plan: TilePlan): { offset: number; length: number } {
  const width = floatBytes(dtype);
  return {
    offset: (plan.row * columns + plan.column) * width,
    length: plan.rows * plan.columns * width,
  };
}

/** Reads a tile in place of the one before, for those who are done with it when they leave it. */
export async function readAlone(
  { kernels, files }: Desk,
  slice: Slice,
  plan: TilePlan,
): Promise<Uint8Array> {
  const { offset, length } = spanOf(slice, plan);
  const bytes = kernels.input(length);
  await files.read(slice.source, offset, bytes);
  return bytes;
}

/**
 * A tile's bytes: read from the file unless they are held already. The whole slice has its place in
 * the buffer if it is small enough; else each tile takes the place of the one before.
 */
export async function readTile(
  { kernels, files }: Desk,
  slice: Slice,
  plan: TilePlan,
  isHeld: boolean,
): Promise<Uint8Array> {
  const { offset, length } = spanOf(slice, plan);
  const fits = fitsInBuffer(slice);
  // Asked for anew for each tile: kernels may move their memory, keeping its content.
  const buffer = kernels.input(fits ? sliceBytes(slice) : length);
  const bytes = fits ? buffer.subarray(offset, offset + length) : buffer;
  if (!isHeld) await files.read(slice.source, offset, bytes);
  return bytes;
}

/** Tells of half of a slice's bytes, in whole bytes, while several passes are made over all of it. */
export function halfOver(passes: number, onBytes: OnBytes): OnBytes {
  let done = 0;
  let told = 0;
  return (bytes) => {
    done += bytes;
    const before = told;
    told = Math.floor(done / (2 * passes));
    return onBytes(told - before);
  };
}
