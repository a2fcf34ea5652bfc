/**
 * Keeps two runs from writing to one output. The lock is a file beside it that the system keeps locked for as
 * long as its process lives, so one that was left behind by a killed run is told from one in use without
 * asking for processes: their numbers are used again, and mean nothing in another container.
 */

import { describeIoError, isMissing, isThere } from "../base/describe_io_error.ts";
import { disk, type OpenFile } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { isSameFile } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { writeAllAt } from "../base/write_all.ts";
import { lockOf } from "./output_names.ts";

/** The lock of an output. */
export interface OutputLock {
  /** Whether the system keeps it; some network file systems have no locks. */
  readonly isKept: boolean;
  /** The note in it: of the run that was killed before, until this one has taken one down; may be empty. */
  readonly note: string;
  /**
   * Takes down a line in it, and puts it on the disk.
   *
   * @throws The system's error.
   */
  takeDown(note: string): void;
  /** Removes it. */
  release(): void;
}

/** Another run writes to the output. Exit code 2. */
export class OutputBusyError extends BadInputError {}

/** How often a lock is tried for that is removed by its owner at the same moment. */
const TRIES = 100;

/** Longest note, in bytes: four paths and what stood there. */
const MAX_NOTE_BYTES = 2 ** 16;

/**
 * Locks an output.
 *
 * @param target Its real path.
 * @param label The path in messages.
 * @throws {OutputBusyError} Another run has it.
 * @throws {BadInputError} The lock cannot be made.
 */
export function lockOutput(target: string, label: string): OutputLock {
  const path = lockOf(target);
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot write ${quote(label)}: ${what}`);
  };
  for (let tries = 0; tries < TRIES; tries++) {
    const file = openLock(path, fail);
    if (file === undefined) continue;
    const holder = tryLock(file);
    if (holder === "another") {
      file.close();
      throw new OutputBusyError(
        `Cannot write ${quote(label)}: another run is writing to it: ` +
          "wait until it has ended, or give another path",
      );
    }
    try {
      // Its owner may have removed it just before, and another run have made a new one.
      if (isInPlace(file, path)) return makeLock(file, path, holder === "this");
      file.close();
    } catch (error) {
      release(file, path);
      throw fail(describeIoError(error));
    }
  }
  return fail(`its lock ${quote(path)} comes and goes: wait until other runs have ended`);
}

/** Opens the file, or makes it; `undefined` where it came or went meanwhile. */
function openLock(path: string, fail: (what: string) => never): OpenFile | undefined {
  try {
    return disk.openSync(path, "create");
  } catch (error) {
    if (!isThere(error)) return fail(describeIoError(error));
  }
  try {
    // A link could lead to any file of the user's, and a FIFO would be waited for.
    if (!disk.lstatSync(path).isFile) {
      return fail(`its lock ${quote(path)} is not a regular file: remove it`);
    }
    return disk.openSync(path, "write");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error instanceof BadInputError
      ? error
      : fail(`its lock ${quote(path)}: ${describeIoError(error)}`);
  }
}

/** Which process has the lock by now; `none` where the file system has no locks. */
function tryLock(file: OpenFile): "this" | "another" | "none" {
  try {
    return file.tryLockSync() ? "this" : "another";
  } catch {
    return "none";
  }
}

/** Whether an open file still has its name. */
function isInPlace(file: OpenFile, path: string): boolean {
  try {
    return isSameFile(file.statSync(), disk.lstatSync(path));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function makeLock(file: OpenFile, path: string, isKept: boolean): OutputLock {
  const takeDown = (text: string) => {
    // The first line counts; what is behind it may be left of a longer one.
    writeAllAt(file, new TextEncoder().encode(`${text}\n`), 0);
    file.syncSync();
  };
  const note = readNote(path);
  return { isKept, note, takeDown, release: () => release(file, path) };
}

function release(file: OpenFile, path: string): void {
  try {
    if (isInPlace(file, path)) disk.removeSync(path);
  } catch (error) {
    // The next run takes it for what it is: one without an owner.
    if (!(error instanceof Error)) throw error;
  } finally {
    file.close();
  }
}

function readNote(path: string): string {
  const file = disk.openSync(path, "read");
  try {
    const bytes = new Uint8Array(MAX_NOTE_BYTES);
    const count = file.readSync(bytes, 0);
    return new TextDecoder().decode(bytes.subarray(0, count)).split("\n")[0]!;
  } finally {
    file.close();
  }
}
