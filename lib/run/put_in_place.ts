/** Puts output in place when it is complete, all of a run's together, and takes it back where that fails. */

import { dirname } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk, type FileInfo } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { type FileVersion, isSameFile } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { lookAt } from "./check_output.ts";
import { type CommittedFile, writeCommitNote } from "./finish_commit.ts";
import type { OutputLock } from "./output_lock.ts";
import { besideOf } from "./output_names.ts";
import { syncDirectory } from "./sync_directory.ts";

/** A directory or file in the making. */
export interface PendingOutput {
  /** Where to write meanwhile. */
  readonly path: string;
  /** Where it will be. */
  readonly target: string;
  /** The run's name, which those of a run share. */
  readonly run: string;
  /** Lines about what earlier runs have left beside it. */
  readonly notes: readonly string[];
  /** The file, where it is one with a place of its own. */
  readonly file: CommittedFile | undefined;
  /** Takes down that it and the files given are about to be put in place, for the next run to finish. */
  takeDown(files: readonly CommittedFile[]): void;
  /** Puts it in place. What was there is kept, so that `discard` can still put it back. */
  place(): void;
  /** Puts it in place, if it is not there yet, and for good. */
  commit(): void;
  /** Undoes all that was done; nothing happens after `commit`. */
  discard(): Promise<void>;
}

/** What is done with what stands at a target. */
export interface Standing {
  /**
   * Makes way for what is to be put in place, and says whether what stood there is kept under the name `old`;
   * a file is kept only where `keeps` says so.
   */
  makeWay(old: string, keeps: boolean): boolean;
  /** Checks what was kept, since something else may have been put there at the last moment. */
  checkKept(old: string): void;
}

/**
 * Makes a pending output of its parts.
 *
 * @param label The target in messages.
 * @param lock Of the target; released when the output is in place or discarded.
 */
export function makePending(
  made: Pick<PendingOutput, "path" | "target" | "run" | "notes" | "file">,
  label: string,
  lock: OutputLock,
  { makeWay, checkKept }: Standing,
): PendingOutput {
  const { path, target, run } = made;
  const old = besideOf(target, "old", run);
  let state: "pending" | "placed" | "done" = "pending";
  let hasOld = false;
  /** What was put in place. */
  let placed: FileVersion | undefined;
  const put = (keeps: boolean) => {
    if (state !== "pending") return;
    hasOld = makeWay(old, keeps);
    if (hasOld) checkKept(old);
    placed = lookAt(path, label);
    const isFinal = !hasOld && lookAt(target, label)?.isFile === true;
    disk.renameSync(path, target);
    state = isFinal ? "done" : "placed";
    try {
      syncDirectory(dirname(target));
    } catch (error) {
      if (!isFinal) throw error;
      lock.release();
      throw new BadInputError(
        `Wrote ${quote(label)}, but cannot put its name on the disk: ${describeIoError(error)}`,
      );
    }
  };
  const place = () => attempt(label, () => put(true));
  const commit = () => {
    attempt(label, () => put(false));
    state = "done";
    try {
      if (hasOld) remove(old, `Wrote ${quote(label)}, but cannot remove what was there before`);
    } finally {
      lock.release();
    }
  };
  /** Whether what stands at the target is what was put there, and nothing that came later. */
  const isOurs = (stands: FileInfo | undefined) =>
    stands !== undefined && placed !== undefined && isSameFile(stands, placed);
  const putBack = async () => {
    const [stands, kept] = [lookAt(target), lookAt(old)];
    // Two names of one file: renaming would leave both.
    if (stands !== undefined && kept !== undefined && isSameFile(stands, kept)) {
      await disk.remove(old);
    } else if (stands === undefined || isOurs(stands)) {
      await disk.rename(old, target);
    } else {
      throw new BadInputError("something else has been put there");
    }
  };
  const discard = async () => {
    if (state === "done") return;
    state = "done";
    try {
      const stands = lookAt(target);
      // A file is replaced by the one before in one step.
      if (isOurs(stands) && (stands!.isDirectory || !hasOld)) await disk.rename(target, path);
      if (hasOld) await putBack();
    } catch (error) {
      const reason = error instanceof BadInputError ? error.message : describeIoError(error);
      const where = hasOld ? `: what was there before is now ${quote(old)}` : "";
      throw new BadInputError(`Cannot put back ${quote(target)}: ${reason}${where}`);
    } finally {
      await disk.remove(path).catch(() => {
        // The error that led here matters more, and the next run removes what stays.
      });
      lock.release();
    }
  };
  const takeDown = (files: readonly CommittedFile[]) =>
    attempt(label, () => lock.takeDown(writeCommitNote({ run, files: [...files] })));
  return { ...made, takeDown, place, commit, discard };
}

/**
 * Puts a directory and its files in place together: all of them, or none. Where the process is killed in
 * between, the next run that writes to the directory finishes it.
 *
 * @param outputs The directory first.
 * @throws {BadInputError} One cannot be put in place, and discarding takes the others back; or all are,
 *   and what was there before cannot be removed.
 */
export function commitAll(outputs: readonly PendingOutput[]): void {
  outputs[0]?.takeDown(outputs.flatMap(({ file }) => file ?? []));
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

/** Does something to a file, and says what could not be written where that fails. */
export function attempt<T>(label: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof BadInputError) throw error;
    throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
  }
}
