/** Turns an error of the operating system into words: Deno's own message holds raw paths and no advice. */

/** By `code`, which is the same on every system, where errno numbers are not. */
const BY_CODE = new Map([
  ["EPERM", "the operation is not permitted"],
  ["ENOENT", "no such file or directory"],
  ["EINTR", "a signal interrupted it: run again"],
  ["EIO", "the device failed to read or write"],
  ["EACCES", "permission denied"],
  ["EBUSY", "it is in use, or a mount point"],
  ["EEXIST", "it already exists"],
  ["EXDEV", "the two are on different file systems"],
  ["ENOTDIR", "a part of the path is not a directory"],
  ["EISDIR", "it is a directory"],
  ["EINVAL", "the path is not valid"],
  ["ENFILE", "too many files are open"],
  ["EMFILE", "too many files are open"],
  ["ENOSPC", "the disk is full"],
  ["EROFS", "the file system is read-only"],
  ["EMLINK", "the file has as many links as the file system allows"],
  ["EPIPE", "its reader has closed it"],
  ["ENAMETOOLONG", "the name is too long"],
  ["ENOTEMPTY", "the directory is not empty"],
  ["ELOOP", "too many symbolic links: the link loops"],
]);

/**
 * Errors that Deno 2.9.6 gives no code, by the system's own words. Linux and macOS begin the message
 * with the same ones (but for one letter of "Disk"); their numbers differ.
 */
const BY_WORDS: readonly { words: RegExp; meaning: string }[] = [
  { words: /^File too large/, meaning: "the file is too large for this file system or limit" },
  { words: /^Dis[ck] quota exceeded/, meaning: "the disk quota is used up" },
  { words: /^Text file busy/, meaning: "the file is busy" },
];

/** Beginnings of what Deno says when a file system has no room for another file, which a disk may lack that is not full. */
const CREATING = /\): (open|mkdir|link|symlink) '/;

/** A file or stream that takes no more bytes. */
export const WriteZero = Deno.errors.WriteZero;

/** Whether an error says that there is nothing of a name. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}

/** Whether an error says that there is something of a name that was to be made. */
export function isThere(error: unknown): boolean {
  return error instanceof Deno.errors.AlreadyExists;
}

/** Whether an error says that a part of a path, but for its end, is no directory. */
export function isBelowFile(error: unknown): boolean {
  return error instanceof Deno.errors.NotADirectory;
}

/** Says in a few words why a file operation failed, without the path and without engine text. */
export function describeIoError(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) {
    // What Deno 2.9.6 says of /dev, /proc and /sys.
    if (/^Requires (all|\w+ access to "\/(dev|proc|sys)\/)/.test(error.message)) {
      return "Deno lets a program in there with --allow-all alone: add it, or give another path";
    }
    const flag = /--allow-(read|write|env|sys)/.exec(error.message)?.[0] ?? "the permission flag";
    return `Deno was not given the permission: add ${flag} for this path`;
  }
  if (error instanceof WriteZero) return "it takes no more bytes";
  if (!(error instanceof Error)) return "the operating system refused";
  const code = "code" in error ? String(error.code) : undefined;
  if (code === "ENOSPC" && CREATING.test(error.message)) {
    return "there is no room for another file: the disk is full, or its inodes are used up";
  }
  const known = code === undefined
    ? BY_WORDS.find(({ words }) => words.test(error.message))?.meaning
    : BY_CODE.get(code);
  return known ?? `the operating system refused${code === undefined ? "" : `: ${code}`}`;
}
