/** Where output may go: checked before the work begins. */

import { basename, dirname, join, normalize, sep } from "node:path";
import { describeIoError, isBelowFile, isMissing } from "../base/describe_io_error.ts";
import { disk, type FileInfo } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { isBeside } from "./output_names.ts";

/**
 * The file of schedules, by which a directory is known as an earlier output that may be replaced; of a pipeline
 * it is in the folders of its parts. No loader takes a file of this name for weights.
 */
export const OUTPUT_MARK = "time_groups.isotherm";

/** Real path of the nearest ancestor that exists, and the rest as it is written. */
export function resolvePath(path: string): string {
  let existing = normalize(path);
  const rest: string[] = [];
  for (;;) {
    try {
      return join(disk.realPathSync(existing), ...rest);
    } catch (error) {
      const parent = dirname(existing);
      if (!(isMissing(error) || isBelowFile(error)) || parent === existing) {
        throw new BadInputError(`Cannot write ${quote(path)}: ${describeIoError(error)}`);
      }
      rest.unshift(basename(existing));
      existing = parent;
    }
  }
}

/** Said of a directory that a run may not replace. */
const NOT_OURS = `it holds no ${OUTPUT_MARK}, so Isotherm did not write it: remove it yourself`;

/** Whether a directory was written by a run. */
export function isOutput(directory: string): boolean {
  const paths = ["", ...contentOf(directory, directory)].map((name) => join(directory, name));
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
    if (lookAt(target)?.isSymlink) fail("it is a link that leads nowhere: remove it");
    return target;
  }
  if (!existing.isDirectory) fail("a file of that name exists");
  if (contentOf(target, output).length === 0) return target;
  if (!overwrite) fail("it exists and is not empty: give another, or --overwrite to replace it");
  if (!isOutput(target)) fail(NOT_OURS);
  return target;
}

/**
 * Checks once more, when something is about to be replaced, that it may be.
 *
 * @param target The output.
 * @param wasThere Whether something stood there when the run began, which `checkOutput` has allowed to replace.
 * @param path Where it stands by now.
 * @throws {BadInputError} It has come since, or Isotherm did not write it.
 */
export function checkReplaced(target: string, wasThere: boolean, path = target): void {
  if (wasThere && isOutput(path)) return;
  const what = wasThere ? NOT_OURS : "something has appeared there since the run began: remove it";
  throw new BadInputError(`Cannot write ${quote(target)}: ${what}`);
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

/** That a file's or directory's parent is missing, in words. */
export function missingParent(path: string): string {
  return `${quote(dirname(path))} does not exist: create it first`;
}

/** What a path is itself; `undefined` where there is nothing. */
export function lookAt(path: string, label = path): FileInfo | undefined {
  return findInfo(disk.lstatSync, path, label);
}

/**
 * What a path leads to; `undefined` where there is nothing.
 *
 * @param label The path in messages.
 */
export function statOf(path: string, label = path): FileInfo | undefined {
  return findInfo(disk.statSync, path, label);
}

function findInfo(
  find: (path: string) => FileInfo,
  path: string,
  label: string,
): FileInfo | undefined {
  try {
    return find(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new BadInputError(`Cannot write ${quote(label)}: ${describeIoError(error)}`);
  }
}

/** Whether another file system is mounted on a directory, so that it can be neither moved nor replaced. */
export function isMountPoint(target: string): boolean {
  const [own, above] = [statOf(target), statOf(dirname(target))];
  return own?.isDirectory === true && above !== undefined && own.dev !== above.dev;
}

/** The path beside which a run keeps its names for an output: that itself, or on a mount point one inside it. */
export function homeOf(target: string): string {
  return isMountPoint(target) ? join(target, basename(target)) : target;
}

/** Where a file system keeps what it has found of lost files; nobody's output. */
const LOST = "lost+found";

/** Names in an output, but for those that a run, or the file system, keeps there. */
export function contentOf(target: string, label: string): string[] {
  const names = namesIn(target, label);
  if (!isMountPoint(target)) return names;
  const home = homeOf(target);
  return names.filter((name) => name !== LOST && !isBeside(home, name));
}

/** Names in a directory. */
export function namesIn(directory: string, label: string): string[] {
  try {
    return disk.readDirSync(directory).map(({ name }) => name);
  } catch (error) {
    throw new BadInputError(`Cannot list ${quote(label)}: ${describeIoError(error)}`);
  }
}
