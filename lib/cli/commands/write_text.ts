/** Puts a text in place, whole or not at all, in one step. */

import { pendingFile } from "../../run/pending_output.ts";
import { replaceFile, writeWhole } from "../../safetensors/write.ts";

/**
 * Writes a text beside its target and renames it, so that at any time there is the old one or the new one.
 *
 * @param onWritten Called when it is written and before it is in place; what it throws undoes it.
 * @throws {BadInputError} It cannot be written; what was there is as it was.
 */
export async function writeText(
  path: string,
  text: string,
  onWritten: () => void,
): Promise<void> {
  const pending = pendingFile(path, undefined);
  try {
    await writeWhole(pending.path, path, new TextEncoder().encode(text));
    onWritten();
    // Not committed, which would move what is there out of the way first: another process may be reading it.
    replaceFile(pending.path, pending.target, path);
  } finally {
    await pending.discard();
  }
}
