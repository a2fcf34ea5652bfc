/** Opens the files that go along with a model: what was listed, and nothing that took its place since. */

import { describeIoError } from "../base/describe_io_error.ts";
import { disk, type FileInfo } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { type FileVersion, isUnchanged } from "../base/file_version.ts";
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
export interface OpenListedFile {
  /** Its permission bits; `null` on systems that have none. */
  readonly mode: number | null;
  /**
   * Reads from byte `at` on, perhaps less than there is room for; 0 at the end.
   *
   * @throws {BadInputError} It cannot be read.
   */
  read(into: Uint8Array, at: number): Promise<number>;
  /**
   * Checks that nobody has written to it since it was listed.
   *
   * @throws {BadInputError} Somebody has.
   */
  refuseChanged(): void;
  /** Releases it. */
  close(): void;
}

/**
 * Opens a file of a model. Its links are judged now, its last part is not followed, a FIFO is not waited for,
 * and what was opened has to be what was listed: so nobody can put a link to a secret in its place meanwhile.
 *
 * @throws {BadInputError} It is gone, leads out of the model, or is another file than was listed.
 */
export async function openListedFile(listed: ListedFile): Promise<OpenListedFile> {
  const { directory, name, version } = listed;
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot read ${quote(name)}: ${what}`);
  };
  const failIo = (error: unknown): never => fail(describeIoError(error));
  const path = followLink(directory, name);
  const file = await disk.openUnfollowed(path).catch(failIo);
  const look = (): FileInfo => {
    try {
      return file.statSync();
    } catch (error) {
      return failIo(error);
    }
  };
  const refuseChanged = () => {
    const info = look();
    if (info.isFile && isUnchanged(version, info)) return info;
    const what = info.isFile ? "it has changed" : "it is no regular file any more";
    return fail(`${what} since the run began: run again when it is complete`);
  };
  try {
    const { mode } = refuseChanged();
    return {
      mode,
      read: (into, at) => file.read(into, at).catch(failIo),
      refuseChanged,
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}
