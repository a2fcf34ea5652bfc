/** Copies bytes as they are. */

import type { Desk } from "./desk.ts";
import type { FilePlace } from "../types.ts";

/** Bytes copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Asks for bytes to be copied. */
export interface CopyJob {
  verb: "copy";
  /** From where. */
  source: FilePlace;
  /** To where; the file exists and has its final length. */
  target: FilePlace;
  /** How many. */
  byteLength: number;
}

/** Runs the job. */
export async function copyBytes(
  { source, target, byteLength }: CopyJob,
  { files, onBytes }: Desk,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, byteLength));
  for (let done = 0; done < byteLength; done += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, byteLength - done));
    await files.read(source, done, bytes);
    await files.write(target, done, bytes);
    await onBytes(bytes.length);
  }
}
