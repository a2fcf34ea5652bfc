/** Counts where weights lie among the codes of their blocks: what a histogram of a layer shows. */

import { decodeFloats, floatBytes } from "../safetensors/dtype.ts";
import { type Bits, CODE_BINS, codeAxis } from "../types.ts";
import type { Desk } from "./desk.ts";
import type { Slice } from "./slice.ts";

/** Asks for some rows to be counted. */
export interface CountCodesJob {
  verb: "countCodes";
  /** The whole layer; of its blocks only the columns matter. */
  slice: Slice;
  /** Width of a code. */
  bits: Bits;
  /** [S] rows of the slice, rising. */
  rows: number[];
  /** [S * blocks] scales of their blocks, row by row, above 0. */
  scale: Float32Array;
  /** [S * blocks] zero points. */
  zero_point: Uint8Array;
}

/** Bytes of rows that are read in one piece, with those between them: a call costs as much as reading these. */
const READ_BYTES = 2 ** 16;

/**
 * Runs the job: a weight x lies at x / scale + zero_point, where a code decodes to itself. What lies beyond the
 * ends of {@linkcode codeAxis} is counted in its first or last bin.
 *
 * @returns [CODE_BINS] counts; weights that are exactly 0 are not counted, so that padding hides nothing.
 */
export async function countCodes(job: CountCodesJob, { files }: Desk): Promise<number[]> {
  const { slice: { columns, dtype, source }, rows } = job;
  const rowBytes = columns * floatBytes(dtype);
  const values = new Float32Array(columns);
  const counts = new Array<number>(CODE_BINS).fill(0);
  for (let s = 0; s < rows.length;) {
    const first = rows[s]!;
    let near = s + 1;
    while (near < rows.length && (rows[near]! + 1 - first) * rowBytes <= READ_BYTES) near++;
    const bytes = new Uint8Array((rows[near - 1]! + 1 - first) * rowBytes);
    await files.read(source, first * rowBytes, bytes);
    for (; s < near; s++) {
      const at = (rows[s]! - first) * rowBytes;
      decodeFloats(bytes.subarray(at, at + rowBytes), dtype, values);
      countRow(job, s, values, counts);
    }
  }
  return counts;
}

/** Counts the weights of the sample's row `s`. */
function countRow(
  { bits, rows, scale, zero_point }: CountCodesJob,
  s: number,
  values: Float32Array,
  counts: number[],
): void {
  const { from, width } = codeAxis(bits);
  const across = scale.length / rows.length;
  const blockColumns = values.length / across;
  for (let block = 0; block < across; block++) {
    const at = s * across + block;
    const own = scale[at]!;
    const shift = zero_point[at]! - from;
    for (let c = block * blockColumns; c < (block + 1) * blockColumns; c++) {
      const value = values[c]!;
      if (value === 0) continue;
      const bin = Math.floor((value / own + shift) / width);
      const kept = Math.min(CODE_BINS - 1, Math.max(0, bin));
      counts[kept] = counts[kept]! + 1;
    }
  }
}
