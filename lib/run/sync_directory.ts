/** Puts the entries of directories on the disk, so that a power loss takes none of them. */

import { join } from "node:path";
import { disk } from "../base/disk.ts";

/** What a system says that syncs no directories, or lets this user open none: no sign of a failing disk. */
const CANNOT = ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES", "EPERM", "EISDIR", "EBADF"];

/**
 * Puts a directory's entries on the disk, where the system can do that.
 *
 * @throws The system's error where the disk fails.
 */
export function syncDirectory(path: string): void {
  try {
    const directory = disk.openSync(path, "read");
    try {
      directory.syncSync();
    } finally {
      directory.close();
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const isRefused = error instanceof Error && error.name === "NotCapable";
    if (!isRefused && !CANNOT.includes(code)) throw error;
  }
}

/** Puts the entries of a directory and of all below it on the disk, the innermost first. */
export function syncTree(path: string): void {
  for (const { name, isDirectory } of disk.readDirSync(path)) {
    if (isDirectory) syncTree(join(path, name));
  }
  syncDirectory(path);
}
