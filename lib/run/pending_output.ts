/**
 * Where output goes: everything is written beside its target under a hidden name and renamed when
 * it is complete, so that the target is absent, old or whole, never half.
 */

import { basename, dirname, join, normalize, relative, sep } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";

/**
 * The file of schedules, by which a directory is known as an earlier output that may be replaced; of a pipeline
 * it is in the folders of its parts. No loader takes a file of this name for weights.
 */
export const OUTPUT_MARK = "time_groups.isotherm";

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

/** Real path of the nearest ancestor that exists, and the rest as it is written. */
export function resolvePath(path: string): string {
  let existing = normalize(path);
  const rest: string[] = [];
  for (;;) {
    try {
      return join(Deno.realPathSync(existing), ...rest);
    } catch (error) {
      const parent = dirname(existing);
      const { NotFound, NotADirectory } = Deno.errors;
      const isMissing = error instanceof NotFound || error instanceof NotADirectory;
      if (!isMissing || parent === existing) {
        throw new BadInputError(`Cannot write ${quote(path)}: ${describeIoError(error)}`);
      }
      rest.unshift(basename(existing));
      existing = parent;
    }
  }
}

/** Whether a directory was written by a run. */
function isOutput(directory: string, names: readonly string[]): boolean {
  const paths = ["", ...names].map((name) => join(directory, name));
  return paths.some((path) => statOf(path)?.isDirectory && statOf(join(path, OUTPUT_MARK))?.isFile);
}

/** Whether a path is a directory or lies below it; both real. */
export function isInside(path: string, directory: string): boolean {
  return path === directory ||
    path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

/**
 * Checks that a directory may become the output, before any work starts.
 *
 * @param output As the user gave it.
 * @param model Real path of the model directory.
 * @param overwrite Whether an earlier output may be replaced.
 * @returns Its resolved path.
 * @throws {BadInputError} It overlaps the model, exists, or cannot be created.
 */
export function checkOutput(output: string, model: string, overwrite: boolean): string {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot write the output ${quote(output)}: ${what}`);
  };
  const target = resolvePath(output);
  if (target === model) fail("it is the model directory: give another --output");
  if (isInside(target, model)) fail("it lies inside the model directory: give another --output");
  if (isInside(model, target)) fail("the model directory lies inside it: give another --output");
  if (statOf(dirname(target), output) === undefined) fail(missingParent(output));
  const existing = statOf(target, output);
  if (existing === undefined) {
    if (isLink(target)) fail("it is a link that leads nowhere: remove it");
    return target;
  }
  if (!existing.isDirectory) fail("a file of that name exists");
  const names = namesIn(target, output);
  if (names.length === 0) return target;
  if (!overwrite) fail("it exists and is not empty: give another, or --overwrite to replace it");
  if (!isOutput(target, names)) {
    fail(`it holds no ${OUTPUT_MARK}, so Isotherm did not write it: remove it yourself`);
  }
  return target;
}

/**
 * Whether there is a regular file of that name, and something in it.
 *
 * @param label The path in messages.
 */
export function holdsFile(path: string, label: string): boolean {
  const existing = statOf(path, label);
  return existing !== undefined && existing.isFile && existing.size > 0;
}

function missingParent(path: string): string {
  return `${quote(dirname(path))} does not exist: create it first`;
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

/** @param label The path in messages. */
function statOf(path: string, label = path): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
  }
}

function namesIn(directory: string, label: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    throw new BadInputError(`Cannot list ${quote(label)}: ${describeIoError(error)}`);
  }
}

/** Longest file name, in bytes of UTF-8, on the file systems in use. */
const MAX_NAME_BYTES = 255;

/** A name beside the target that no reader takes for a model and no other run picks. */
function beside(target: string, kind: "tmp" | "old"): string {
  const ending = `.${kind}-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
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
  attempt(target, () => Deno.mkdirSync(path));
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
  attempt(path, () => Deno.openSync(temporary, { write: true, createNew: true }).close());
  attempt(path, () => Deno.removeSync(temporary));
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
  attempt(path, () => Deno.mkdirSync(dirname(inner), { recursive: true }));
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
      attempt(label, () => Deno.renameSync(target, old));
      hasOld = true;
    }
    attempt(label, () => Deno.renameSync(path, target));
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
      if (wasPlaced) await Deno.rename(target, path);
      if (hasOld) await Deno.rename(old, target);
    } catch (error) {
      const where = hasOld ? `: what was there before is now ${quote(old)}` : "";
      throw new BadInputError(
        `Cannot put back ${quote(target)}: ${describeIoError(error)}${where}`,
      );
    }
    try {
      await Deno.remove(path, { recursive: true });
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
    Deno.removeSync(path, { recursive: true });
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
    using directory = Deno.openSync(path);
    directory.syncSync();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
