/** Whether a file is still the one that it was. */

import type { FileInfo } from "./disk.ts";

/** What a file was at one time. */
export interface FileVersion {
  /** The file system it is on. */
  dev: number;
  /** Its number there. */
  ino: number | null;
  /** Length in bytes. */
  size: number;
  /** Names it has. */
  nlink: number | null;
  /** When its content changed last. */
  mtime: Date | null;
  /** When its content, name or permissions changed last, in whole seconds. */
  ctime: Date | null;
}

/** Keeps what tells a file from another one, and from itself after a change. */
export function versionOf({ dev, ino, size, nlink, mtime, ctime }: FileInfo): FileVersion {
  return { dev, ino, size, nlink, mtime, ctime };
}

/** Whether two are the same file, whatever was written to it in between. */
export function isSameFile(a: FileVersion, b: FileVersion): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/**
 * Whether a file is the same one and nobody has written to it. Its `ctime` tells of changes after which the
 * other times were put back; a name that was given to it or taken from it changes that too, and is none.
 */
export function isUnchanged(before: FileVersion, after: FileVersion): boolean {
  const isSameTime = (key: "mtime" | "ctime") => before[key]?.getTime() === after[key]?.getTime();
  return isSameFile(before, after) && before.size === after.size && isSameTime("mtime") &&
    (isSameTime("ctime") || before.nlink !== after.nlink);
}
