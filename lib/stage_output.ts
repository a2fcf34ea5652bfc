/**
 * Where output goes: everything is written beside its target under a hidden name and renamed when
 * it is complete, so that the target is absent, old or whole, never half.
 */

import { basename, dirname, join, normalize, relative, sep } from "node:path";
import { describeIoError } from "./describe_io_error.ts";
import { BadInputError } from "./errors.ts";
import { quote } from "./escape_text.ts";

/** The file by which a directory is known as an earlier output that may be replaced. */
export const OUTPUT_MARK = "time_groups.safetensors";

/** A directory or file in the making. */
export interface Stage {
  /** Where to write meanwhile. */
  readonly path: string;
  /** Where it will be. */
  readonly target: string;
  /** Puts it in place. */
  commit(): void;
  /** Removes what was written; nothing happens after `commit`. */
  discard(): void;
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
      if (!(error instanceof Deno.errors.NotFound) || parent === existing) {
        throw new BadInputError(`Cannot write ${quote(path)}: ${describeIoError(error)}`);
      }
      rest.unshift(basename(existing));
      existing = parent;
    }
  }
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
  const parent = statOf(dirname(target));
  if (parent === undefined) fail(`${quote(dirname(output))} does not exist: create it first`);
  if (!parent!.isDirectory) fail(`${quote(dirname(output))} is not a directory`);
  const existing = statOf(target);
  if (existing === undefined) return target;
  if (!existing.isDirectory) fail("a file of that name exists");
  const names = namesIn(target, output);
  if (names.length === 0) return target;
  if (!overwrite) fail("it exists and is not empty: give another, or --overwrite to replace it");
  if (!names.includes(OUTPUT_MARK)) {
    fail(`it holds no ${OUTPUT_MARK}, so Isotherm did not write it: remove it yourself`);
  }
  return target;
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new BadInputError(`Cannot look at ${quote(path)}: ${describeIoError(error)}`);
  }
}

function namesIn(directory: string, label: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    throw new BadInputError(`Cannot list ${quote(label)}: ${describeIoError(error)}`);
  }
}

/** A name beside the target that no reader takes for a model and no other run picks. */
function beside(target: string, kind: "tmp" | "old"): string {
  const id = `${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  return join(dirname(target), `.${basename(target).slice(0, 200)}.${kind}-${id}`);
}

/**
 * Starts an output directory.
 *
 * @param target From {@linkcode checkOutput}.
 * @throws {BadInputError} Its parent cannot be written to.
 */
export function stageDirectory(target: string): Stage {
  const path = beside(target, "tmp");
  attempt(target, () => Deno.mkdirSync(path));
  return makeStage(path, target, () => {
    syncDirectory(path);
    const old = statOf(target) !== undefined && namesIn(target, target).length > 0
      ? beside(target, "old")
      : undefined;
    // An empty directory is replaced by the rename itself.
    if (old !== undefined) attempt(target, () => Deno.renameSync(target, old));
    try {
      attempt(target, () => Deno.renameSync(path, target));
    } catch (error) {
      if (old !== undefined) Deno.renameSync(old, target);
      throw error;
    }
    syncDirectory(dirname(target));
    if (old !== undefined) Deno.removeSync(old, { recursive: true });
  });
}

/**
 * Starts a file beside its target, or inside a staged directory when that is where it belongs.
 *
 * @param path As the user gave it.
 * @param within The output directory in the making, if there is one.
 * @throws {BadInputError} It is a directory, or its parent does not exist or cannot be written to.
 */
export function stageFile(path: string, within: Stage | undefined): Stage {
  const target = resolvePath(path);
  if (within !== undefined && isInside(target, within.target)) {
    const staged = join(within.path, relative(within.target, target));
    attempt(path, () => Deno.mkdirSync(dirname(staged), { recursive: true }));
    return { path: staged, target, commit: () => {}, discard: () => {} };
  }
  if (statOf(target)?.isDirectory) {
    throw new BadInputError(`Cannot write ${quote(path)}: it is a directory: give a file name`);
  }
  const temporary = beside(target, "tmp");
  // Created at once, so that a directory one may not write to is found before the work, not after.
  attempt(path, () => Deno.openSync(temporary, { write: true, createNew: true }).close());
  attempt(path, () => Deno.removeSync(temporary));
  return makeStage(temporary, target, () => {
    attempt(path, () => Deno.renameSync(temporary, target));
    syncDirectory(dirname(target));
  });
}

function makeStage(path: string, target: string, place: () => void): Stage {
  let done = false;
  return {
    path,
    target,
    commit: () => {
      place();
      done = true;
    },
    discard: () => {
      if (done) return;
      done = true;
      if (statOf(path) !== undefined) Deno.removeSync(path, { recursive: true });
    },
  };
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
