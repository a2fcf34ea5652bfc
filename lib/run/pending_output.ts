/**
 * Where output goes: everything is written beside its target under a hidden name and renamed when
 * it is complete, so that the target is absent, old or whole, never half.
 */

import { dirname, join, relative } from "node:path";
import { disk, type FileInfo } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import {
  checkReplaced,
  homeOf,
  isInside,
  isMountPoint,
  lookAt,
  missingParent,
  namesIn,
  resolvePath,
  statOf,
} from "./check_output.ts";
import { clearLeftovers } from "./clear_leftovers.ts";
import { fillMountPoint } from "./fill_mount_point.ts";
import { describeFinished, describeStanding, finishCommit } from "./finish_commit.ts";
import { lockOutput, OutputBusyError, type OutputLock } from "./output_lock.ts";
import { besideOf, lockOf, nameRun } from "./output_names.ts";
import { attempt, makePending, type PendingOutput } from "./put_in_place.ts";
import { syncTree } from "./sync_directory.ts";

/**
 * Starts an output directory. What lies at the target now is replaced, as `checkOutput` has allowed; what
 * appears there later is not: what a run may replace has to be checked once more when this one has the lock.
 *
 * @param target From `checkOutput`.
 * @throws {BadInputError} Another run writes to it, or its parent cannot be written to.
 */
export function pendingDirectory(target: string): PendingOutput {
  const run = nameRun();
  const home = homeOf(target);
  const path = besideOf(home, "tmp", run);
  const { lock, notes } = claim(home, target);
  try {
    const made = { path, target, run, notes, file: undefined };
    if (isMountPoint(target)) {
      attempt(target, () => disk.mkdirNewSync(path));
      return fillMountPoint(made, besideOf(home, "old", run), lock);
    }
    // An empty directory needs no replacing: the rename itself does that.
    const isFilled = () => statOf(target) !== undefined && namesIn(target, target).length > 0;
    const replaces = isFilled();
    attempt(target, () => disk.mkdirNewSync(path));
    return makePending(made, target, lock, {
      makeWay(old) {
        syncTree(path);
        if (!isFilled()) return false;
        checkReplaced(target, replaces);
        disk.renameSync(target, old);
        return true;
      },
      checkKept: (old) => checkReplaced(target, true, old),
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Starts a file beside its target, or inside a directory in the making when that is where it belongs.
 *
 * @param path As the user gave it.
 * @param within The output directory in the making, if there is one.
 * @throws {BadInputError} It is no regular file, another run writes to it, or its parent does not exist or
 *   cannot be written to.
 */
export function pendingFile(path: string, within: PendingOutput | undefined): PendingOutput {
  const target = resolvePath(path);
  if (within !== undefined && isInside(target, within.target)) return pendingWithin(path, within);
  const look = () => {
    const info = lookAt(target, path);
    if (info !== undefined && !info.isFile) {
      const kind = info.isDirectory ? "a directory" : "not a regular file";
      throw new BadInputError(`Cannot write ${quote(path)}: it is ${kind}: give a file name`);
    }
    return info;
  };
  look();
  if (statOf(dirname(target), path) === undefined) {
    throw new BadInputError(`Cannot write ${quote(path)}: ${missingParent(path)}`);
  }
  const run = within?.run ?? nameRun();
  const { lock, notes } = claim(target, path);
  try {
    const file = { target, standing: describeStanding(look()) };
    const made = { path: besideOf(target, "tmp", run), target, run, notes, file };
    const check = (info: FileInfo | undefined) => {
      if (describeStanding(info) === file.standing) return;
      throw new BadInputError(
        `Cannot write ${quote(path)}: it has changed since the run began: give another path`,
      );
    };
    return makePending(made, path, lock, {
      makeWay(old, keeps) {
        const info = look();
        check(info);
        if (info === undefined || !keeps) return false;
        keepUnder(old);
        return true;
      },
      checkKept: (old) => check(lookAt(old)),
    });
  } catch (error) {
    lock.release();
    throw error;
  }

  /** A second name, so that the first one is never without a file; where there are none, it is moved. */
  function keepUnder(old: string): void {
    try {
      disk.linkSync(target, old);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      disk.renameSync(target, old);
    }
  }
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
  return {
    path: inner,
    target,
    run: within.run,
    notes: [],
    file: undefined,
    takeDown: () => {},
    place: () => {},
    commit: () => {},
    discard: async () => {},
  };
}

/** Locks a target, and clears what killed runs have left there. */
function claim(target: string, label: string): { lock: OutputLock; notes: string[] } {
  const lock = lockOutput(target, label);
  try {
    const finished = attempt(label, () => lock.isKept ? finishCommit(target, lock.note) : []);
    if (lock.note !== "") attempt(label, () => lock.takeDown(""));
    const notes = finished.length > 0 ? [describeFinished(finished)] : [];
    const cleared = attempt(label, () => clearLeftovers(target, lock.isKept));
    return { lock, notes: [...notes, ...cleared] };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Clears what killed runs have left beside paths that are about to be checked: an output that one had begun
 * to put in place is there afterwards, with its files. Nothing is done where no run was killed.
 *
 * @param paths As the user gave them.
 * @returns Lines that say what was done.
 * @throws {BadInputError} What was begun cannot be finished.
 */
export function repairOutputs(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const home = findLocked(path);
    if (home === undefined) return [];
    try {
      const { lock, notes } = claim(home, path);
      lock.release();
      return notes;
    } catch (error) {
      // That is said when the output is started, unless it may not be for another reason.
      if (error instanceof OutputBusyError) return [];
      throw error;
    }
  });
}

/** Where a path's lock is, if it has one; what is wrong with a path is for those to say who check it. */
function findLocked(path: string): string | undefined {
  try {
    const home = homeOf(resolvePath(path));
    return lookAt(lockOf(home)) === undefined ? undefined : home;
  } catch (error) {
    if (error instanceof BadInputError) return undefined;
    throw error;
  }
}
