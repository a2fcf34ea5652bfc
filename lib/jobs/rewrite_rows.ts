/** Rows that a format stores as they are but in another order, or in a wider dtype. */

import { readRows, type RowSpan, writeRows } from "../format/row_order.ts";
import { type NarrowDtype, widenFloats } from "../safetensors/dtype.ts";
import type { FilePlace } from "../types.ts";
import type { Desk } from "./desk.ts";

/** Bytes of the source read at a time, at least a row. */
const PIECE_BYTES = 2 ** 20;

/** Rows of the source, and where they are in a checkpoint. */
interface RowsJob {
  /** First byte of the whole tensor in the source. */
  source: FilePlace;
  /** First byte of the whole tensor in the checkpoint. */
  target: FilePlace;
  /** Bytes of a row in the source. */
  rowBytes: number;
  /** First row. */
  from: number;
  /** The row behind the last one. */
  to: number;
  /** See `RowOrder`. */
  headRows?: number | undefined;
  /** The source's dtype, where the checkpoint has F32. */
  widen?: NarrowDtype | undefined;
}

/** Asks for rows to be written. */
export interface RewriteRowsJob extends RowsJob {
  verb: "rewriteRows";
}

/** Asks whether rows were written so: gives the first row that was not, or -1. */
export interface CompareRowsJob extends RowsJob {
  verb: "compareRows";
}

/** Runs the job. */
export async function rewriteRows(job: RewriteRowsJob, desk: Desk): Promise<void> {
  for await (const { bytes, span } of readPieces(job, desk)) {
    await writeRows(desk.files, span, bytes);
  }
}

/** Runs the job. */
export async function compareRows(job: CompareRowsJob, desk: Desk): Promise<number> {
  for await (const { bytes, span } of readPieces(job, desk)) {
    const found = new Uint8Array(bytes.length);
    await readRows(desk.files, span, found);
    const different = found.findIndex((byte, i) => byte !== bytes[i]);
    if (different >= 0) return span.row + Math.floor(different / span.rowBytes);
  }
  return -1;
}

/** Rows as the checkpoint should hold them. */
async function* readPieces(
  { source, target, rowBytes, from, to, headRows, widen }: RowsJob,
  { files, onBytes }: Desk,
): AsyncGenerator<{ bytes: Uint8Array; span: RowSpan }> {
  const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  for (let row = from; row < to; row += step) {
    const count = Math.min(step, to - row);
    const own = new Uint8Array(count * rowBytes);
    await files.read(source, row * rowBytes, own);
    const bytes = widen === undefined ? own : widenFloats(own, widen);
    const span = { place: target, rowBytes: bytes.length / count, headRows, row, column: 0 };
    yield { bytes, span };
    await onBytes(own.length);
  }
}
