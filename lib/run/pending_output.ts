/**
 * Where output goes: everything is written beside its target under a hidden name and renamed when
 * it is complete, so that the target is absent, old or whole, never half.
 */

import { basename, dirname, join, relative } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { isInside, missingParent, namesIn, resolvePath, statOf } from "./check_output.ts";

/** A directory or file in the making. */
export interface PendingOutput {
  /** Where to write meanwhile. */
  readonly path: string;
  /** Where it will be. */
  readonly target: string;
  /** Puts it in place. What was there is kept, so that `discard` can still put it back. */
  place(): void;
  /** Puts it in place, if it is not there yet, and for good. */
  commit(): void;
  /** Undoes all that was done; nothing happens after `commit`. */
  discard(): Promise<void>;
}

/** Longest file name, in bytes of UTF-8, on the file systems in use. */
const MAX_NAME_BYTES = 255;

/** A name beside the target that no reader takes for a model and no other run picks. */
function beside(target: string, kind: "tmp" | "old"): string {
  const ending = `.${kind}-${disk.processId}-${crypto.randomUUID().slice(0, 8)}`;
  const name = basename(target);
  // Encoding stops in front of the first character that there is no room for.
  const room = new Uint8Array(MAX_NAME_BYTES - 1 - ending.length);
  const { read } = new TextEncoder().encodeInto(name, room);
  return join(dirname(target), `.${name.slice(0, read)}${ending}`);
}

/**
 * Starts an output directory. What lies at the target now is replaced, as {@linkcode checkOutput} has
 * allowed; what appears there later is not.
 *
 * @param target From {@linkcode checkOutput}.
 * @throws {BadInputError} Its parent cannot be written to.
 */
export function pendingDirectory(target: string): PendingOutput {
  const path = beside(target, "tmp");
  attempt(target, () => disk.mkdirNewSync(path));
  // An empty directory needs no replacing: the rename itself does that.
  const isFilled = () => statOf(target) !== undefined && namesIn(target, target).length > 0;
  const replaces = isFilled();
  return makePending(path, target, target, () => {
    syncDirectory(path);
    return replaces && isFilled();
  });
}

/**
 * Starts a file beside its target, or inside a directory in the making when that is where it belongs.
 *
 * @param path As the user gave it.
 * @param within The output directory in the making, if there is one.
 * @throws {BadInputError} It is no regular file, or its parent does not exist or cannot be written to.
 */
export function pendingFile(path: string, within: PendingOutput | undefined): PendingOutput {
  const target = resolvePath(path);
  if (within !== undefined && isInside(target, within.target)) return pendingWithin(path, within);
  const exists = () => {
    const existing = statOf(target, path);
    if (existing !== undefined && !existing.isFile) {
      const kind = existing.isDirectory ? "a directory" : "not a regular file";
      throw new BadInputError(`Cannot write ${quote(path)}: it is ${kind}: give a file name`);
    }
    return existing !== undefined;
  };
  exists();
  if (statOf(dirname(target), path) === undefined) {
    throw new BadInputError(`Cannot write ${quote(path)}: ${missingParent(path)}`);
  }
  const temporary = beside(target, "tmp");
  // Created at once, so that a directory one may not write to is found before the work, not after.
  attempt(path, () => disk.openSync(temporary, "create").close());
  attempt(path, () => disk.removeSync(temporary));
  return makePending(temporary, target, path, exists);
}

/** A file that comes and goes with the directory it lies in. */
function pendingWithin(path: string, within: PendingOutput): PendingOutput {
  const target = resolvePath(path);
  if (target === within.target) {
    throw new BadInputError(
      `Cannot write ${quote(path)}: it is the output directory: give a file name`,
    );
  }
  const inner = join(within.path, relative(within.target, target));
  attempt(path, () => disk.mkdirSync(dirname(inner)));
  return { path: inner, target, place: () => {}, commit: () => {}, discard: async () => {} };
}

/**
 * @param label The target in messages.
 * @param isInTheWay Called before it is put in place: whether what is there has to go aside first.
 */
function makePending(
  path: string,
  target: string,
  label: string,
  isInTheWay: () => boolean,
): PendingOutput {
  const old = beside(target, "old");
  let state: "pending" | "placed" | "done" = "pending";
  let hasOld = false;
  const place = () => {
    if (state !== "pending") return;
    if (isInTheWay()) {
      attempt(label, () => disk.renameSync(target, old));
      hasOld = true;
    }
    attempt(label, () => disk.renameSync(path, target));
    state = "placed";
    syncDirectory(dirname(target));
  };
  const commit = () => {
    place();
    state = "done";
    if (hasOld) remove(old, `Wrote ${quote(label)}, but cannot remove what was there before`);
  };
  const discard = async () => {
    if (state === "done") return;
    const wasPlaced = state === "placed";
    state = "done";
    try {
      if (wasPlaced) await disk.rename(target, path);
      if (hasOld) await disk.rename(old, target);
    } catch (error) {
      const where = hasOld ? `: what was there before is now ${quote(old)}` : "";
      throw new BadInputError(
        `Cannot put back ${quote(target)}: ${describeIoError(error)}${where}`,
      );
    }
    try {
      await disk.remove(path);
    } catch (error) {
      // The error that led here matters more, and no reader takes what stays for a model.
      if (!(error instanceof Error)) throw error;
    }
  };
  return { path, target, place, commit, discard };
}

/**
 * Puts directories and files in place together: all of them, or none.
 *
 * @throws {BadInputError} One cannot be put in place, and discarding takes the others back; or all are,
 *   and what was there before cannot be removed.
 */
export function commitAll(outputs: readonly PendingOutput[]): void {
  for (const output of outputs) output.place();
  const failures = outputs.flatMap((output) => {
    try {
      output.commit();
      return [];
    } catch (error) {
      return [error];
    }
  });
  if (failures.length > 0) throw failures[0];
}

/**
 * Discards directories and files, the last one first, each whatever became of the others.
 *
 * @throws {BadInputError} What was there before cannot be put back; the message says where it is.
 */
export async function discardAll(outputs: readonly PendingOutput[]): Promise<void> {
  const failures: unknown[] = [];
  for (const output of outputs.toReversed()) {
    await output.discard().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

function remove(path: string, problem: string): void {
  try {
    disk.removeSync(path);
  } catch (error) {
    throw new BadInputError(
      `${problem}: ${describeIoError(error)}: remove ${quote(path)} yourself`,
    );
  }
}

function attempt<T>(label: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
  }
}

/** Puts a directory's entries on the disk; a file system that cannot is no reason to fail. */
function syncDirectory(path: string): void {
  try {
    const directory = disk.openSync(path, "read");
    try {
      directory.syncSync();
    } finally {
      directory.close();
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
