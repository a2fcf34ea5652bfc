/** Turns an error of the operating system into words: Deno's own message holds raw paths and no advice. */

const BY_NUMBER = new Map<number, string>([
  [1, "the operation is not permitted"],
  [2, "no such file or directory"],
  [5, "the device failed to read or write"],
  [13, "permission denied"],
  [17, "it already exists"],
  [20, "a part of the path is not a directory"],
  [21, "it is a directory"],
  [22, "the path is not valid"],
  [24, "too many files are open"],
  [26, "the file is busy"],
  [27, "the file is too large for this file system or limit"],
  [28, "the disk is full"],
  [30, "the file system is read-only"],
  [32, "its reader has closed it"],
  [36, "the name is too long"],
  [39, "the directory is not empty"],
  [40, "too many symbolic links: the link loops"],
  [122, "the disk quota is used up"],
]);

/** Says in a few words why a file operation failed, without the path and without engine text. */
export function describeIoError(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-(read|write|env|sys)/.exec(error.message)?.[0] ?? "the permission flag";
    return `Deno was not given the permission: add ${flag} for this path`;
  }
  const message = error instanceof Error ? error.message : "";
  const code = /\(os error (\d+)\)/.exec(message)?.[1];
  const known = code === undefined ? undefined : BY_NUMBER.get(Number(code));
  if (known !== undefined) return known;
  if (error instanceof Deno.errors.NotFound) return "no such file or directory";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.AlreadyExists) return "it already exists";
  if (error instanceof Deno.errors.NotADirectory) return "a part of the path is not a directory";
  if (error instanceof Deno.errors.WriteZero) return "it takes no more bytes";
  if (error instanceof Deno.errors.FilesystemLoop) return "too many symbolic links: the link loops";
  return code === undefined ? "the operating system refused" : `operating system error ${code}`;
}
