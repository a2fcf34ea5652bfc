/**
 * Comes between a run and the file system: makes a call fail, take fewer bytes than it was given, or be the
 * last one, to see that a run copes with that at any point.
 */

import { disk, type OpenFile, type ReadableFile } from "../lib/base/disk.ts";

/** A call: of the disk by its name, of an open file as `file.read`. */
export interface Call {
  name: string;
  /** The path it is about, the new one where there are two; of a file the one it was opened by. */
  path: string;
  /** Bytes to be read or written; an interception may cut it. */
  bytes?: Uint8Array;
  /** Whether it makes a file. */
  creates?: boolean;
}

/** Called before each call; what it throws the call fails with. */
export type Before = (call: Call) => void;

/** Calls that give a promise. */
const LATER = new Set([
  ...["open", "openUnfollowed", "mkdir", "rename", "remove", "link"],
  ...["file.read", "file.write", "file.truncate", "file.sync", "file.syncData"],
]);

/** Calls whose second path is the one they are about. */
const TWO_PATHS = new Set(["rename", "renameSync", "link", "linkSync"]);

/** Calls that open a file. */
const OPENING = new Set(["open", "openSync", "openUnfollowed"]);

/** Calls of a file that are no calls to the disk, or cannot fail. */
const FREE = new Set(["close"]);

// deno-lint-ignore no-explicit-any -- functions of every signature are replaced alike
type Replaceable = Record<string, (...args: any[]) => any>;

/** Puts `before` in front of every call of this thread; gives back how to take it away. */
export function interceptCalls(before: Before): () => void {
  const owner = disk as unknown as Replaceable;
  const originals = { ...owner };
  for (const [name, original] of Object.entries(originals)) {
    const call = (args: unknown[]) => {
      const path = String(args[TWO_PATHS.has(name) ? 1 : 0]);
      before({ name, path, creates: OPENING.has(name) && args[1] === "create" });
      const result = original(...args);
      if (!OPENING.has(name)) return result;
      const watch = (file: OpenFile) => watchFile(file, String(args[0]), before);
      return result instanceof Promise ? result.then(watch) : watch(result);
    };
    owner[name] = LATER.has(name) ? async (...args) => await call(args) : (...args) => call(args);
  }
  return () => void Object.assign(owner, originals);
}

/** An open file with `before` in front of its calls. */
function watchFile<F extends ReadableFile>(file: F, path: string, before: Before): F {
  const watched: Replaceable = {};
  for (const [method, original] of Object.entries(file as unknown as Replaceable)) {
    const name = `file.${method}`;
    const run = (args: unknown[]) => {
      const call: Call = { name, path };
      const [bytes] = args;
      if (bytes instanceof Uint8Array) call.bytes = bytes;
      if (!FREE.has(method)) before(call);
      return original(...(call.bytes === undefined ? args : [call.bytes, ...args.slice(1)]));
    };
    watched[method] = LATER.has(name) ? async (...args) => await run(args) : (...args) => run(args);
  }
  return watched as unknown as F;
}

/** Calls that need room on the disk. */
const GROWING = new Set([
  ...["open", "mkdir", "mkdirSync", "mkdirNewSync", "link", "linkSync"],
  ...["file.write", "file.writeSync", "file.truncate", "file.sync"],
]);

/** Calls that change what other processes see of the disk, besides those that make a file. */
const CHANGING = new Set([
  ...["mkdir", "mkdirSync", "mkdirNewSync", "rename", "renameSync", "remove", "removeSync"],
  ...["link", "linkSync", "file.write", "file.writeSync", "file.truncate"],
]);

/** Whether a call changes what other processes see of the disk. */
export function isChanging({ name, creates }: Call): boolean {
  return creates === true || CHANGING.has(name);
}

/** What a failing call throws: the system's error for a full disk or a broken one, as Deno makes it. */
export function systemError(call: string): Error {
  return GROWING.has(call)
    ? Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" })
    : Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
}

/** How a call fails: once, with all later ones that need room, or by taking or giving half of the bytes. */
export type Manner = "once" | "for good" | "short";

/** What the threads of a run share, so that one call of all of them fails. */
export interface Fault {
  /** How many calls were made; the number of the one that fails, counted from 1; whether the disk is full. */
  counts: Int32Array<SharedArrayBuffer>;
  /** How it fails. */
  manner: Manner;
}

/** Starts counting. */
export function makeFault(number: number, manner: Manner): Fault {
  const counts = new Int32Array(new SharedArrayBuffer(12));
  counts[1] = number;
  return { counts, manner };
}

/** Counts the calls of a thread with those of the others, and fails the one whose turn it is. */
export function failOne({ counts, manner }: Fault, onFailed: (name: string) => void): Before {
  return (call) => {
    const { name } = call;
    const isShort = manner === "short";
    // Only what moves bytes can be short.
    if (isShort && (call.bytes === undefined || call.bytes.length < 2)) return;
    const isTurn = Atomics.add(counts, 0, 1) + 1 === counts[1];
    if (isTurn) onFailed(name);
    if (isTurn && manner === "for good" && GROWING.has(name)) Atomics.store(counts, 2, 1);
    if (!isTurn && !(Atomics.load(counts, 2) === 1 && GROWING.has(name))) return;
    if (!isShort) throw systemError(name);
    call.bytes = call.bytes!.subarray(0, Math.floor(call.bytes!.length / 2));
  };
}

/** Which call failed, and how many there were. */
export interface CallLog {
  /** Its name; `undefined` where fewer were made. */
  failed: string | undefined;
  /** Calls of all threads. */
  count: number;
}

/** The worker of a run whose calls are counted. */
const WORKER = new URL("./failing_worker.ts", import.meta.url);

/** Runs `action` while the call of a number fails, in whatever thread it is made. */
export async function whileFailing(
  number: number,
  manner: Manner,
  action: () => Promise<void>,
): Promise<CallLog> {
  const fault = makeFault(number, manner);
  let failed: string | undefined;
  const restore = interceptCalls(failOne(fault, (name) => failed = name));
  const Original = globalThis.Worker;
  globalThis.Worker = class extends Original {
    constructor(_url: string | URL, options?: WorkerOptions) {
      super(WORKER, options);
      this.postMessage(fault);
    }
  };
  try {
    await action();
  } finally {
    globalThis.Worker = Original;
    restore();
  }
  const [count, turn] = fault.counts;
  return {
    failed: failed ?? (count! >= turn! && turn! > 0 ? "one of a worker" : undefined),
    count: count!,
  };
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
  const restore = interceptCalls(({ name, path }) => {
    if (name === "renameSync") calls.push({ call: "rename", path });
    if (name === "file.sync" || name === "file.syncSync") calls.push({ call: "sync", path });
  });
  try {
    await action();
  } finally {
    restore();
  }
  return calls;
}

/** Runs `action` while files take, and give, at most `most` bytes at a time. */
export async function whileShort(most: number, action: () => Promise<void>): Promise<void> {
  const restore = interceptCalls((call) => {
    if (call.bytes !== undefined) call.bytes = call.bytes.subarray(0, most);
  });
  try {
    await action();
  } finally {
    restore();
  }
}
