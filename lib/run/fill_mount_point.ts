/**
 * An output on a mount point, which can be neither moved nor replaced: it is made in a hidden directory inside,
 * and moved out of that name by name when it is complete. Between the first name and the last the output is
 * neither the old nor the new one; what was there before is kept until then.
 */

import { join } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { checkReplaced, contentOf, lookAt, namesIn, OUTPUT_MARK } from "./check_output.ts";
import type { OutputLock } from "./output_lock.ts";
import { attempt, type PendingOutput } from "./put_in_place.ts";
import { syncDirectory, syncTree } from "./sync_directory.ts";

/**
 * Makes a pending output of its parts.
 *
 * @param made Its `target` is the mount point, and its `path` a directory inside it.
 * @param old Where what is there now is moved to, inside as well.
 * @param lock Released when the output is in place or discarded.
 */
export function fillMountPoint(
  made: Pick<PendingOutput, "path" | "target" | "run" | "notes" | "file">,
  old: string,
  lock: OutputLock,
): PendingOutput {
  const { path, target } = made;
  const replaces = contentOf(target, target).length > 0;
  let state: "pending" | "placed" | "done" = "pending";
  const kept: string[] = [];
  const moved: string[] = [];
  const move = (from: string, to: string, name: string, done: string[]) => {
    disk.renameSync(join(from, name), join(to, name));
    done.push(name);
  };
  const makeWay = () => {
    const names = contentOf(target, target);
    if (names.length === 0) return;
    checkReplaced(target, replaces);
    disk.mkdirNewSync(old);
    for (const name of names) move(target, old, name, kept);
  };
  const place = () => {
    if (state !== "pending") return;
    attempt(target, () => {
      syncTree(path);
      makeWay();
      // The mark last: what has none is no output yet.
      const names = namesIn(path, target).filter((name) => name !== OUTPUT_MARK);
      for (const name of names) move(path, target, name, moved);
      if (lookAt(join(path, OUTPUT_MARK)) !== undefined) move(path, target, OUTPUT_MARK, moved);
      syncDirectory(target);
    });
    state = "placed";
  };
  const commit = () => {
    place();
    state = "done";
    try {
      disk.removeSync(path);
      if (kept.length > 0) disk.removeSync(old);
    } catch (error) {
      throw new BadInputError(
        `Wrote ${quote(target)}, but cannot remove what was there before: ` +
          `${describeIoError(error)}: remove ${quote(old)} yourself`,
      );
    } finally {
      lock.release();
    }
  };
  const discard = async () => {
    if (state === "done") return;
    state = "done";
    try {
      for (const name of moved.toReversed()) {
        await disk.rename(join(target, name), join(path, name));
      }
      for (const name of kept.toReversed()) await disk.rename(join(old, name), join(target, name));
    } catch (error) {
      throw new BadInputError(
        `Cannot put back ${quote(target)}: ${describeIoError(error)}` +
          (kept.length > 0 ? `: what was there before is now ${quote(old)}` : ""),
      );
    } finally {
      // Empty, or not there at all, unless what it holds could not be put back.
      if (lookAt(old) !== undefined && namesIn(old, old).length === 0) {
        await disk.remove(old).catch(() => {});
      }
      await disk.remove(path).catch(() => {});
      lock.release();
    }
  };
  // A kill between two names leaves both of the outputs, under names of their own.
  return { ...made, takeDown: () => {}, place, commit, discard };
}
