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
export function sliceBytes({ rows, columns, dtype }: Slice): number {
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

/** Bytes of a tile's weights. */
function tileBytesOf({ rows, columns }: TilePlan, { dtype }: Slice): number {
  return rows * columns * floatBytes(dtype);
}

/** Reads a tile: at once where its rows lie one behind the other, else row by row. */
async function readInto(
  { files }: Desk,
  { source, dtype, columns, stride = columns }: Slice,
  plan: TilePlan,
  bytes: Uint8Array,
): Promise<void> {
  const width = floatBytes(dtype);
  const offsetOf = (row: number) => (row * stride + plan.column) * width;
  if (plan.columns === stride || plan.rows === 1) {
    await files.read(source, offsetOf(plan.row), bytes);
    return;
  }
  const rowBytes = plan.columns * width;
  for (let i = 0; i < plan.rows; i++) {
    // What may wait for the disk gives no promise, and a promise for each row would take longer than to read it.
    const reading = files.read(
      source,
      offsetOf(plan.row + i),
      bytes.subarray(i * rowBytes, (i + 1) * rowBytes),
    );
    if (reading !== undefined) await reading;
  }
}

/** Reads a tile in place of the one before, for those who are done with it when they leave it. */
export async function readAlone(
  desk: Desk,
  slice: Slice,
  plan: TilePlan,
): Promise<Uint8Array> {
  const bytes = desk.kernels.input(tileBytesOf(plan, slice));
  await readInto(desk, slice, plan, bytes);
  return bytes;
}

/**
 * A tile's bytes: read from the file unless they are held already. The whole slice has its place in
 * the buffer if it is small enough; else each tile takes the place of the one before.
 *
 * @param place First byte of the slice in the buffer, where others lie before it.
 */
export async function readTile(
  desk: Desk,
  slice: Slice,
  plan: TilePlan,
  isHeld: boolean,
  place = 0,
): Promise<Uint8Array> {
  const length = tileBytesOf(plan, slice);
  const fits = fitsInBuffer(slice);
  // Asked for anew for each tile: kernels may move their memory, keeping its content.
  const buffer = desk.kernels.input(fits ? place + sliceBytes(slice) : length);
  const offset = place + (plan.row * slice.columns + plan.column) * floatBytes(slice.dtype);
  const bytes = fits ? buffer.subarray(offset, offset + length) : buffer;
  if (!isHeld) await readInto(desk, slice, plan, bytes);
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
