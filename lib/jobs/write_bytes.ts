/** Writes bytes that the caller has made. */

import type { Desk } from "./desk.ts";
import type { FilePlace } from "./slice.ts";

/** Asks for bytes to be written. */
export interface WriteJob {
  verb: "write";
  /** To where; the file exists and has its final length. */
  target: FilePlace;
  /** What is written. */
  bytes: Uint8Array;
}

/** Runs the job. */
export async function writeBytes({ target, bytes }: WriteJob, { files }: Desk): Promise<void> {
  await files.write(target, 0, bytes);
}
