/** The order of the rows of attention layers in formats that turn heads about. */

import type { FilePlace } from "../types.ts";
import type { PlaceReader } from "./checkpoint_format.ts";

/**
 * The place of a row whose head's two halves are stored by turns, so that rows which are turned together stand
 * side by side: as NumPy's `w.reshape(heads, 2, headRows // 2, -1).swapaxes(1, 2).reshape(w.shape)`.
 *
 * @param headRows Rows of a head, even; `undefined`: rows keep their places.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([0, 1, 2, 3, 4].map((row) => permutedRow(row, 4)), [0, 2, 1, 3, 4]);
 * ```
 */
export function permutedRow(row: number, headRows: number | undefined): number {
  if (headRows === undefined) return row;
  const [head, inHead, half] = [Math.floor(row / headRows), row % headRows, headRows / 2];
  return head * headRows + (inHead % half) * 2 + Math.floor(inHead / half);
}

/** Some rows of a matrix in a file. */
export interface RowSpan {
  /** First byte of the matrix. */
  place: FilePlace;
  /** Bytes of a row. */
  rowBytes: number;
  /** Rows of a head, where rows are turned about. */
  headRows?: number | undefined;
  /** First row, in the order of the model. */
  row: number;
  /** First byte in the row; above 0 only where a single row is meant. */
  column: number;
}

/** Where bytes can be written. */
interface PlaceWriter {
  write(place: FilePlace, offset: number, bytes: Uint8Array): Promise<void> | void;
}

/** Writes rows, given in the order of the model. */
export async function writeRows(
  files: PlaceWriter,
  { place, rowBytes, headRows, row, column }: RowSpan,
  bytes: Uint8Array,
): Promise<void> {
  if (headRows === undefined) {
    await files.write(place, row * rowBytes + column, bytes);
    return;
  }
  for (let at = 0; at < bytes.length; at += rowBytes, row++) {
    const offset = permutedRow(row, headRows) * rowBytes + column;
    await files.write(place, offset, bytes.subarray(at, at + rowBytes));
  }
}

/** Reads rows into the order of the model. */
export async function readRows(
  files: PlaceReader,
  { place, rowBytes, headRows, row, column }: RowSpan,
  out: Uint8Array,
): Promise<void> {
  if (headRows === undefined) {
    await files.read(place, row * rowBytes + column, out);
    return;
  }
  for (let at = 0; at < out.length; at += rowBytes, row++) {
    const offset = permutedRow(row, headRows) * rowBytes + column;
    await files.read(place, offset, out.subarray(at, at + rowBytes));
  }
}
