/** Opens the files that go along with a model: what was listed, and nothing that took its place since. */

import { describeIoError } from "../base/describe_io_error.ts";
import { disk, type FileInfo, type ReadableFile } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { type FileVersion, isUnchanged, versionOf } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { followLink } from "./list_model_files.ts";

/** A file of a model, as it was listed. */
export interface ListedFile {
  /** Real path of the model directory. */
  directory: string;
  /** Path in it. */
  name: string;
  /** What it was. */
  version: FileVersion;
}

/** An open file that is the one listed. */
export interface OpenListedFile extends ReadableFile {
  /** Its permission bits; `null` on systems that have none. */
  mode: number | null;
}

/**
 * Opens a file of a model. Its links are judged now, its last part is not followed, a FIFO is not waited for,
 * and what was opened has to be what was listed: so nobody can put a link to a secret in its place meanwhile.
 *
 * @throws {BadInputError} It is gone, leads out of the model, or is another file than was listed.
 */
export async function openListedFile(file: ListedFile): Promise<OpenListedFile> {
  const { directory, name, version } = file;
  const path = followLink(directory, name);
  let opened: ReadableFile;
  try {
    opened = await disk.openUnfollowed(path);
  } catch (error) {
    throw new BadInputError(`Cannot read ${quote(name)}: ${describeIoError(error)}`);
  }
  try {
    const info = opened.statSync();
    refuseChanged(name, version, info);
    return { ...opened, mode: info.mode };
  } catch (error) {
    opened.close();
    throw error;
  }
}

/**
 * Checks that a file is the one that was listed, and that nobody has written to it.
 *
 * @param name Its name in messages.
 * @throws {BadInputError} It is not.
 */
export function refuseChanged(name: string, version: FileVersion, info: FileInfo): void {
  if (info.isFile && isUnchanged(version, versionOf(info))) return;
  const what = info.isFile ? "it has changed" : "it is no regular file any more";
  throw new BadInputError(
    `Cannot read ${quote(name)}: ${what} since the run began: run again when it is complete`,
  );
}
