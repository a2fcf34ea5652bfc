/**
 * Finishes what a run had begun to put in place when it was killed: its output, report, log and page belong
 * together, and all of them were complete by then.
 */

import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import type { FileInfo } from "../base/disk.ts";
import { quote } from "../base/text.ts";
import { lookAt } from "./check_output.ts";
import { lockOutput } from "./output_lock.ts";
import { besideOf, isRun } from "./output_names.ts";

/** A file that is put in place with an output. */
export interface CommittedFile {
  /** Its real path. */
  target: string;
  /** What stood there when the run began, see {@linkcode describeStanding}. */
  standing: string;
}

/** What a run is about to put in place: taken down in the lock of its output. */
export interface CommitNote {
  /** The run's name. */
  run: string;
  /** The files that go with the output. */
  files: CommittedFile[];
}

/** What tells whether what stands at a place is still the same. */
export function describeStanding(info: FileInfo | undefined): string {
  if (info === undefined) return "nothing";
  const { dev, ino, size, mtime } = info;
  return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
}

/**
 * Finishes what a note tells of, if it had begun. Whoever can write beside the output can have written the
 * note, so it is believed only as far as names of Isotherm's are there.
 *
 * @param target Real path of the output, whose lock this run has.
 * @param note From the lock.
 * @returns Paths that were put in place.
 * @throws The system's error.
 */
export function finishCommit(target: string, note: string): string[] {
  const told = readCommitNote(note);
  if (told === undefined) return [];
  const { run, files } = told;
  const [made, old] = [besideOf(target, "tmp", run), besideOf(target, "old", run)];
  const isMade = lookAt(made)?.isDirectory === true;
  const stands = lookAt(target) !== undefined;
  // What was there before is in its place, or there was nothing: none of it has been put in place.
  if (isMade && (stands || lookAt(old) === undefined)) return [];
  const finished: string[] = [];
  if (isMade) {
    disk.renameSync(made, target);
    finished.push(target);
  }
  for (const file of files) {
    if (finishFile(file, run)) finished.push(file.target);
  }
  return finished;
}

function finishFile({ target, standing }: CommittedFile, run: string): boolean {
  const path = besideOf(target, "tmp", run);
  if (lookAt(path)?.isFile !== true) return false;
  try {
    const lock = lockOutput(target, target);
    try {
      if (describeStanding(lookAt(target)) !== standing) return false;
      disk.renameSync(path, target);
      const old = besideOf(target, "old", run);
      if (lookAt(old)?.isFile) disk.removeSync(old);
      return true;
    } finally {
      lock.release();
    }
  } catch (error) {
    // Another run writes to it by now.
    if (error instanceof BadInputError) return false;
    throw error;
  }
}

/** Writes a note; a line without a break. */
export function writeCommitNote({ run, files }: CommitNote): string {
  return JSON.stringify({ run, files });
}

function readCommitNote(text: string): CommitNote | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { run, files } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (typeof run !== "string" || !isRun(run) || !Array.isArray(files)) return undefined;
  const known = files.filter((file): file is CommittedFile =>
    typeof file?.target === "string" && typeof file.standing === "string"
  );
  return { run, files: known.map(({ target, standing }) => ({ target, standing })) };
}

/** Says what was finished. */
export function describeFinished(paths: readonly string[]): string {
  return `Put ${paths.map(quote).join(", ")} in place, which a run that was stopped had begun`;
}
