/**
 * All calls to the file system: the one place of lib/ that makes them. Nothing is decided here, so an error
 * is the system's own, for `describeIoError` to put into words. Tests replace single calls to see what
 * becomes of a run when one fails.
 */

/** What is known of a file, a directory or a link. */
export interface FileInfo {
  /** Whether it is a regular file. */
  isFile: boolean;
  /** Whether it is a directory. */
  isDirectory: boolean;
  /** Whether it is a symbolic link; only where links are not followed. */
  isSymlink: boolean;
  /** Length in bytes. */
  size: number;
  /** Type and permission bits; `null` on systems that have none. */
  mode: number | null;
  /** When its content changed last. */
  mtime: Date | null;
  /** When its content, name or permissions changed last, in whole seconds; nobody can set it. */
  ctime: Date | null;
  /** The file system it is on. */
  dev: number;
  /** Its number there. */
  ino: number | null;
  /** Names it has. */
  nlink: number | null;
  /** When it came to be; `null` on systems that do not know. */
  birthtime: Date | null;
}

/** A name in a directory, and what it is itself: links are not followed. */
export type DirectoryEntry =
  & { name: string }
  & Pick<FileInfo, "isFile" | "isDirectory" | "isSymlink">;

/** A file that is open to be read. One call after the other: it has one position. */
export interface ReadableFile {
  /** Reads from byte `at` on, perhaps less than there is room for; 0 at the end. */
  read(into: Uint8Array, at: number): Promise<number>;
  /** `read`, keeping this thread. */
  readSync(into: Uint8Array, at: number): number;
  /** What it is, whatever has its name by now. */
  statSync(): FileInfo;
  /** Releases it. */
  close(): void;
}

/** An open file or directory. */
export interface OpenFile extends ReadableFile {
  /** Writes from byte `at` on, perhaps not all; how many bytes. */
  write(bytes: Uint8Array, at: number): Promise<number>;
  /** `write`, keeping this thread. */
  writeSync(bytes: Uint8Array, at: number): number;
  /** Cuts or extends it to a length in bytes. */
  truncate(length: number): Promise<void>;
  /** Puts all of it on the disk. */
  sync(): Promise<void>;
  /** `sync`, keeping this thread. */
  syncSync(): void;
  /** Puts its content on the disk, without the times. */
  syncData(): Promise<void>;
  /** Locks it for this process alone, until it is closed or the process ends; false where another has it. */
  tryLockSync(): boolean;
}

/** How a file is opened. */
export type OpenMode =
  /** To be read, or to be synced where it is a directory. */
  | "read"
  /** To be written; it exists. */
  | "write"
  /** To be written; nothing of that name exists, and no link either. */
  | "create";

/** The calls. Those whose name ends in `Sync` keep this thread until they are done. */
export interface Disk {
  /** Opens a file; a new one gets the permission bits `mode` less the umask, 0666 where not given. */
  open(path: string, how: OpenMode, mode?: number): Promise<OpenFile>;
  /** `open`, keeping this thread. */
  openSync(path: string, how: OpenMode): OpenFile;
  /**
   * Opens what is to be read only, and never waits for a FIFO's writer. No link at the path's end is followed,
   * unless Deno has looked where it leads to check a permission: so what was opened has to be compared with
   * what was listed.
   */
  openUnfollowed(path: string): Promise<ReadableFile>;
  /**
   * Bytes that this user may still write to the file system of a path; `undefined` where the system does not say,
   * or Deno was not given the permission to ask.
   */
  freeBytes(path: string): Promise<number | undefined>;
  /** What a path leads to. */
  statSync(path: string): FileInfo;
  /** What a path is; a link is not followed. */
  lstatSync(path: string): FileInfo;
  /** What a directory holds, in the system's order. */
  readDirSync(path: string): DirectoryEntry[];
  /** The path without links and detours. */
  realPathSync(path: string): string;
  /** Makes a directory, and those above it where they are missing. */
  mkdir(path: string): Promise<void>;
  /** `mkdir`, keeping this thread. */
  mkdirSync(path: string): void;
  /** Makes a directory that must not exist, in one that does. */
  mkdirNewSync(path: string): void;
  /** Renames; a file or an empty directory of the new name is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** `rename`, keeping this thread. */
  renameSync(from: string, to: string): void;
  /** Removes a file, or a directory with all that it holds. */
  remove(path: string): Promise<void>;
  /** `remove`, keeping this thread. */
  removeSync(path: string): void;
  /** Gives a file a second name. */
  link(from: string, to: string): Promise<void>;
  /** `link`, keeping this thread. */
  linkSync(from: string, to: string): void;
}

/** The calls as the system makes them. */
export const disk: Disk = {
  open: async (path, how, mode) => fromDeno(await Deno.open(path, optionsOf(how, mode))),
  openSync: (path, how) => fromDeno(Deno.openSync(path, optionsOf(how))),
  openUnfollowed,
  freeBytes,
  statSync: (path) => Deno.statSync(path),
  lstatSync: (path) => Deno.lstatSync(path),
  readDirSync: (path) => [...Deno.readDirSync(path)],
  realPathSync: (path) => Deno.realPathSync(path),
  mkdir: (path) => Deno.mkdir(path, { recursive: true }),
  mkdirSync: (path) => Deno.mkdirSync(path, { recursive: true }),
  mkdirNewSync: (path) => Deno.mkdirSync(path),
  rename: (from, to) => Deno.rename(from, to),
  renameSync: (from, to) => Deno.renameSync(from, to),
  remove: (path) => Deno.remove(path, { recursive: true }),
  removeSync: (path) => Deno.removeSync(path, { recursive: true }),
  link: (from, to) => Deno.link(from, to),
  linkSync: (from, to) => Deno.linkSync(from, to),
};

/** By `node:fs`, since Deno has no such call; loaded only where it would be allowed. */
async function freeBytes(path: string): Promise<number | undefined> {
  if (Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state !== "granted") {
    return undefined;
  }
  const { statfsSync } = await import("node:fs");
  const { blocks, bavail, bsize } = statfsSync(path);
  // Some file systems that have no size of their own count no blocks at all.
  return blocks === 0 ? undefined : bavail * bsize;
}

/** @param mode Permission bits of a new file. */
function optionsOf(how: OpenMode, mode?: number): Deno.OpenOptions {
  if (how === "read") return { read: true };
  if (how === "write") return { write: true };
  return { write: true, createNew: true, ...mode !== undefined && { mode } };
}

function fromDeno(file: Deno.FsFile): OpenFile {
  /**
   * Where the system goes on by itself: to be told is half of what small pieces cost. NaN from a call's begin to its
   * success, since one that fails may have moved it.
   */
  let position = 0;
  const leave = (): number => {
    const left = position;
    position = NaN;
    return left;
  };
  const countFrom = (at: number, count: number): number => {
    position = at + count;
    return count;
  };
  return {
    async read(into, at) {
      if (leave() !== at) await file.seek(at, Deno.SeekMode.Start);
      return countFrom(at, await file.read(into) ?? 0);
    },
    readSync(into, at) {
      if (leave() !== at) file.seekSync(at, Deno.SeekMode.Start);
      return countFrom(at, file.readSync(into) ?? 0);
    },
    async write(bytes, at) {
      if (leave() !== at) await file.seek(at, Deno.SeekMode.Start);
      return countFrom(at, await file.write(bytes));
    },
    writeSync(bytes, at) {
      if (leave() !== at) file.seekSync(at, Deno.SeekMode.Start);
      return countFrom(at, file.writeSync(bytes));
    },
    truncate: (length) => file.truncate(length),
    sync: () => file.sync(),
    syncSync: () => file.syncSync(),
    syncData: () => file.syncData(),
    tryLockSync: () => file.tryLockSync(true),
    statSync: () => file.statSync(),
    close: () => file.close(),
  };
}

/** Largest piece read at a time, in bytes: `node:fs` takes no number above 2^31 - 1. */
const MOST_READ = 2 ** 30;

/**
 * By `node:fs`, since Deno's own `open` takes no flags. It is loaded when it is needed, which costs 80 ms,
 * more than all else that a small run loads.
 */
async function openUnfollowed(path: string): Promise<ReadableFile> {
  const fs = await import("node:fs");
  // Windows has neither of the two, and no FIFO among its files.
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  const { promise: opened, resolve, reject } = Promise.withResolvers<number>();
  fs.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, (error, file) => {
    if (error) reject(error);
    else resolve(file);
  });
  const file = await opened;
  const room = (into: Uint8Array) => Math.min(into.length, MOST_READ);
  return {
    read(into, at) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      fs.read(file, into, 0, room(into), at, (error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
      return promise;
    },
    readSync: (into, at) => fs.readSync(file, into, 0, room(into), at),
    statSync() {
      const info = fs.fstatSync(file);
      const { size, mode, mtime, ctime, dev, ino, nlink, birthtime } = info;
      return {
        ...{ size, mode, mtime, ctime, dev, ino, nlink, birthtime },
        isFile: info.isFile(),
        isDirectory: info.isDirectory(),
        isSymlink: info.isSymbolicLink(),
      };
    },
    close: () => fs.closeSync(file),
  };
}
