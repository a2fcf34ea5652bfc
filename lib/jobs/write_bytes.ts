/** Writes bytes that the caller has made. */

import type { Desk } from "./desk.ts";
import type { FilePlace } from "./slice.ts";

/** Bytes and where they go. */
export interface WritePart {
  /** The file exists and has its final length. */
  target: FilePlace;
  /** What is written. */
  bytes: Uint8Array;
}

/** Asks for bytes to be written. */
export interface WriteJob {
  verb: "write";
  /** One after the other. */
  parts: readonly WritePart[];
}

/** Runs the job. */
export async function writeBytes({ parts }: WriteJob, { files }: Desk): Promise<void> {
  for (const { target, bytes } of parts) await files.write(target, 0, bytes);
}
