/** Whether the file system has room for what a run would write. */

import { dirname } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { isMountPoint } from "./check_output.ts";
import { bytesOfFiles, type RunPlan } from "./plan_run.ts";
import { sideBytes } from "./take_side_files.ts";

/** The room that a run takes, and that there is. */
export interface DiskSpace {
  /**
   * Bytes of the weight files and of what is copied along. An earlier output is replaced when the new one is
   * there, so it gives none of its room back before.
   */
  needed_bytes: number;
  /** Bytes that are free; `null` where that is not known: Deno asks for `--allow-sys=statfs`. */
  free_bytes: number | null;
}

/**
 * Checks that there is room for an output.
 *
 * @param output As the user gave it.
 * @param target Its real path, from `checkOutput`.
 * @param isLinked Whether what goes along is linked, which takes no room.
 * @throws {BadInputError} There is not; where it is not known how much is free nothing is said.
 */
export async function checkSpace(
  { parts, source }: RunPlan,
  output: string,
  target: string,
  isLinked: boolean,
): Promise<DiskSpace> {
  const weights = parts.reduce((size, { checkpoint }) => size + bytesOfFiles(checkpoint), 0);
  const needed_bytes = weights + (isLinked ? 0 : sideBytes(source));
  const free_bytes = await askFree(isMountPoint(target) ? target : dirname(target), output);
  if (free_bytes === null || needed_bytes <= free_bytes) return { needed_bytes, free_bytes };
  // Rounded away from each other, so that they differ.
  const [needed, free] = [Math.ceil(needed_bytes / 1e4), Math.floor(free_bytes / 1e4)]
    .map((hundredths) => `${(hundredths / 100).toFixed(2)} MB`);
  throw new BadInputError(
    `Cannot write the output ${quote(output)}: it takes ${needed}, and ${free} are free there: ` +
      "make room, or give another --output",
  );
}

/** Bytes that are free; `null` where the system does not say, which is no reason to fail unless its disk does. */
async function askFree(path: string, output: string): Promise<number | null> {
  try {
    return await disk.freeBytes(path) ?? null;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!("code" in error) || error.code !== "EIO") return null;
    throw new BadInputError(`Cannot write ${quote(output)}: ${describeIoError(error)}`);
  }
}
