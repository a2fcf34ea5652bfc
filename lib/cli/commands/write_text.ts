/** Puts a text in place, whole or not at all. */

import { pendingFile } from "../../run/pending_output.ts";
import { writeWhole } from "../../safetensors/write.ts";

/**
 * Writes a text beside its target and renames it.
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
    pending.commit();
  } finally {
    await pending.discard();
  }
}
