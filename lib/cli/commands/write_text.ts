/** Puts a text in place, whole or not at all, in one step. */

import { OutputBusyError } from "../../run/output_lock.ts";
import { pendingFile } from "../../run/pending_output.ts";
import type { PendingOutput } from "../../run/put_in_place.ts";
import { writeWhole } from "../../safetensors/write.ts";

/** Milliseconds that another process is waited for, which takes a few to write its text. */
const PATIENCE_MS = 10_000;

/** Milliseconds between two looks at whether it has ended. */
const PAUSE_MS = 20;

/**
 * Writes a text beside its target and renames it, so that at any time there is the old one or the new one.
 *
 * @param makeText Called when no other process writes to it any more: what it reads of the old text stays true.
 * @param onWritten Called when it is written and before it is in place; what it throws undoes it.
 * @throws {BadInputError} It cannot be written; what was there is as it was.
 */
export async function writeText(
  path: string,
  makeText: () => string | Promise<string>,
  onWritten: () => void,
): Promise<void> {
  const pending = await startWhenFree(path);
  try {
    await writeWhole(pending.path, path, new TextEncoder().encode(await makeText()));
    onWritten();
    pending.commit();
  } finally {
    await pending.discard();
  }
}

async function startWhenFree(path: string): Promise<PendingOutput> {
  for (let waited = 0;; waited += PAUSE_MS) {
    try {
      return pendingFile(path, undefined);
    } catch (error) {
      if (!(error instanceof OutputBusyError) || waited >= PATIENCE_MS) throw error;
    }
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
  }
}
