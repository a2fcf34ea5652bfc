/** Compares bytes of two files. */

import type { Desk } from "./desk.ts";
import type { FilePlace } from "../types.ts";

/** Bytes compared at a time. */
const COMPARE_BYTES = 2 ** 20;

/** Asks where bytes differ: gives the first such place, or -1. */
export interface CompareJob {
  verb: "compare";
  /** The source, which is told of as progress. */
  source: FilePlace;
  /** What it is compared with. */
  other: FilePlace;
  /** How many bytes. */
  byteLength: number;
}

/** Runs the job. */
export async function compareBytes(
  { source, other, byteLength }: CompareJob,
  { files, onBytes }: Desk,
): Promise<number> {
  const size = Math.min(COMPARE_BYTES, byteLength);
  const [left, right] = [new Uint8Array(size), new Uint8Array(size)];
  for (let done = 0; done < byteLength; done += size) {
    const count = Math.min(size, byteLength - done);
    await files.read(source, done, left.subarray(0, count));
    await files.read(other, done, right.subarray(0, count));
    const at = findDifference(left, right, count);
    if (at >= 0) return done + at;
    await onBytes(count);
  }
  return -1;
}

/**
 * The first byte in which two runs of bytes differ, or -1: word by word, then byte by byte in the word that differs.
 *
 * @param left Lies at a multiple of 4 in its buffer, as `right` does.
 * @param count Bytes that are compared.
 */
export function findDifference(left: Uint8Array, right: Uint8Array, count: number): number {
  const words = Math.floor(count / 4);
  const a = new Uint32Array(left.buffer, left.byteOffset, words);
  const b = new Uint32Array(right.buffer, right.byteOffset, words);
  let word = 0;
  while (word < words && a[word] === b[word]) word++;
  for (let i = word * 4; i < count; i++) {
    if (left[i] !== right[i]) return i;
  }
  return -1;
}
