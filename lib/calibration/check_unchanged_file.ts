/** Refuses a calibration file that is no longer the one that was checked. */

import { BadInputError } from "../base/errors.ts";
import { isUnchanged } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import type { FileSource } from "../safetensors/read.ts";
import type { Calibration } from "./calibration.ts";

/**
 * Checks that an open file is the one whose values were checked when the calibration was opened.
 *
 * @throws {BadInputError} It is not.
 */
export function checkUnchangedFile(
  source: Pick<FileSource, "version">,
  { label, fileVersion }: Pick<Calibration, "label" | "fileVersion">,
): void {
  if (isUnchanged(fileVersion, source.version)) return;
  throw new BadInputError(
    `Cannot read calibration ${quote(label)}: it has changed since it was checked`,
  );
}
