/** Which files a run writes into its output, and whether two paths are in each other's way. */

import { sep } from "node:path";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { fullName } from "../plan/plan_layer.ts";
import { OUTPUT_MARK } from "./check_output.ts";
import type { RunPlan } from "./plan_run.ts";

/** Paths of the files that a run makes itself, relative to the output. */
function ownFiles({ parts }: RunPlan): string[] {
  return parts.flatMap(({ component, model, checkpoint: { files } }) =>
    [
      ...files.map(({ name }) => name),
      ...model.index === undefined ? [] : [model.index.name],
      "config.json",
      OUTPUT_MARK,
    ].map((name) => fullName(component, name))
  );
}

/** Paths of all files of the checkpoint, relative to it. */
export function checkpointFiles(plan: RunPlan): string[] {
  return [...ownFiles(plan), ...plan.source.sideFiles];
}

/**
 * Checks that no file that goes along would take the place of one that the run makes.
 *
 * @throws {BadInputError} One would.
 */
export function checkSideFiles(plan: RunPlan): void {
  const names = ownFiles(plan);
  const files = new Set(names.map(plainPath));
  // By each of their own folders as well. Looked up, since there may be thousands of both.
  const own = new Map(
    names.flatMap((name) => foldersOf(name).map((path) => [plainPath(path), name])),
  );
  for (const file of plan.source.sideFiles) {
    const above = foldersOf(file).map(plainPath).find((path) => files.has(path));
    const taken = own.get(above ?? plainPath(file));
    if (taken === undefined) continue;
    throw new BadInputError(
      `Cannot copy ${quote(file)}: the checkpoint's ${
        quote(taken)
      } goes there: rename it in the model`,
    );
  }
}

/** A path and the folders it lies in. */
function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, i) => parts.slice(0, parts.length - i).join("/"));
}

/** Many file systems, such as that of macOS, take paths of which this is the same for the same. */
function plainPath(path: string): string {
  return path.normalize("NFC").toLowerCase();
}

/** Whether two paths are the same, or one takes the other for a directory. */
export function areInTheWay(a: string, b: string): boolean {
  const [left, right] = [plainPath(a), plainPath(b)];
  return left === right || left.startsWith(right + sep) || right.startsWith(left + sep);
}
