/** Makes one call to the file system fail, to see that a run copes with a failure at any point. */

/** Functions of `Deno` that change something. */
const FUNCTIONS = [
  "mkdirSync",
  "renameSync",
  "removeSync",
  "openSync",
  "mkdir",
  "copyFile",
  "open",
];

/** Methods of an open file. */
const METHODS = ["syncSync", "seekSync", "readSync", "write", "truncate", "sync", "seek", "read"];

/** Calls that need room on the disk. */
const GROWING = ["mkdirSync", "mkdir", "copyFile", "write", "truncate", "sync"];

/** What a failing call throws: the system's error for a full disk or a broken one, as Deno makes it. */
function systemError(call: string): Error {
  return GROWING.includes(call)
    ? Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" })
    : Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
}

/** Which calls were made, and which of them failed. */
export interface CallLog {
  /** Names of the calls in their order. */
  calls: string[];
  /** Name of the call that failed; `undefined` where fewer were made. */
  failed: string | undefined;
}

// deno-lint-ignore no-explicit-any -- functions of every signature are replaced alike
type Replaceable = Record<string, (...args: any[]) => any>;

const FILE = Deno.FsFile.prototype as unknown as Replaceable;

/**
 * Runs `action` while the call of this number fails.
 *
 * @param number Counted from 1.
 * @param persistent Whether the disk is full from then on: all later calls that need room fail as well.
 */
export async function whileFailing(
  number: number,
  persistent: boolean,
  action: () => Promise<void>,
): Promise<CallLog> {
  const log: CallLog = { calls: [], failed: undefined };
  const check = (name: string) => {
    log.calls.push(name);
    if (log.calls.length === number) log.failed = name;
    const isFull = persistent && log.failed !== undefined && GROWING.includes(log.failed);
    if (log.calls.length === number || (isFull && GROWING.includes(name))) throw systemError(name);
  };
  const restore = [
    ...FUNCTIONS.map((name) => replace(Deno as unknown as Replaceable, name, () => check(name))),
    ...METHODS.map((name) => replace(FILE, name, () => check(name))),
  ];
  try {
    await action();
  } finally {
    for (const undo of restore) undo();
  }
  return log;
}

/** A file or directory that was put on the disk, or in place. */
export interface SyncCall {
  /** What was done. */
  call: "sync" | "rename";
  /** Its path; the new one where it was renamed. */
  path: string;
}

/** Runs `action`, and tells of what it syncs as a whole and renames. */
export async function whileWatchingSyncs(action: () => Promise<void>): Promise<SyncCall[]> {
  const calls: SyncCall[] = [];
  const paths = new WeakMap<object, string>();
  const owner = Deno as unknown as Replaceable;
  const { open, openSync } = owner;
  owner.open = async (path: string, options: unknown) => {
    const file = await open!(path, options);
    paths.set(file, path);
    return file;
  };
  owner.openSync = (path: string, options: unknown) => {
    const file = openSync!(path, options);
    paths.set(file, path);
    return file;
  };
  const restore = [
    replace(owner, "renameSync", ([, path]) => calls.push({ call: "rename", path: String(path) })),
    ...["sync", "syncSync"].map((name) =>
      replace(FILE, name, (_args, file) => calls.push({ call: "sync", path: paths.get(file)! }))
    ),
  ];
  try {
    await action();
  } finally {
    for (const undo of restore) undo();
    Object.assign(owner, { open, openSync });
  }
  return calls;
}

/** Runs `action` while files take, and give, at most `most` bytes at a time. */
export async function whileShort(most: number, action: () => Promise<void>): Promise<void> {
  const cut = (args: unknown[]) => void (args[0] = (args[0] as Uint8Array).subarray(0, most));
  const restore = ["writeSync", "readSync", "write", "read"].map((name) =>
    replace(FILE, name, cut)
  );
  try {
    await action();
  } finally {
    for (const undo of restore) undo();
  }
}

/** Calls `before` with the arguments and the object of each call of a function; gives back how to undo that. */
function replace(
  owner: Replaceable,
  name: string,
  before: (args: unknown[], self: object) => void,
): () => void {
  const original = owner[name]!;
  owner[name] = function (...args) {
    before(args, this);
    return original.apply(this, args);
  };
  return () => owner[name] = original;
}
