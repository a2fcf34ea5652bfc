/** What killed runs have left beside an output: put back where it is missed, removed where its run is gone. */

import { dirname, join } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk, type FileInfo } from "../base/disk.ts";
import { quote } from "../base/text.ts";
import { isOutput, lookAt } from "./check_output.ts";
import { type Beside, isOfThisSystem, readBeside } from "./output_names.ts";

/** A name beside an output, and what it is. */
interface Leftover {
  path: string;
  kind: Beside;
  run: string;
  info: FileInfo;
}

/** Milliseconds after which nobody writes to something any more that has not changed: a day. */
const SILENT_MS = 24 * 3600 * 1000;

/**
 * Clears what lies beside an output whose lock this run has, so that no other run of this system is at work
 * on it.
 *
 * @param target Its real path.
 * @param isKept Whether the system keeps the lock; where it does not, everything stays.
 * @returns Lines that say what was done.
 */
export function clearLeftovers(target: string, isKept: boolean): string[] {
  const lines: string[] = [];
  const found = listLeftovers(target).sort((a, b) => timeOf(b.info) - timeOf(a.info));
  for (const leftover of found) {
    const { path, kind, info } = leftover;
    const name = quote(path);
    if (!isKept || !isDead(leftover)) {
      lines.push(
        `Left ${name} alone, to which a run on another system, or before a restart, may be writing: ` +
          "remove it if that run has ended",
      );
    } else if (kind === "old" && lookAt(target) === undefined) {
      lines.push(attempt(
        `Put ${quote(target)} back, which an earlier run had moved aside`,
        `Cannot put ${name} back to ${quote(target)}`,
        () => disk.renameSync(path, target),
      ));
    } else if (kind === "old" && info.isDirectory && !isOutput(path)) {
      lines.push(`Left ${name} alone, which is no output of Isotherm: move it where it belongs`);
    } else {
      lines.push(attempt(
        `Removed ${name}, left by a run that was stopped`,
        `Cannot remove ${name}, left by a run that was stopped`,
        () => disk.removeSync(path),
      ));
    }
  }
  return lines;
}

function listLeftovers(target: string): Leftover[] {
  const directory = dirname(target);
  let names: string[];
  try {
    names = disk.readDirSync(directory).map(({ name }) => name);
  } catch (error) {
    // One may write to a directory that one may not list.
    if (error instanceof Error) return [];
    throw error;
  }
  return names.flatMap((name) => {
    const beside = readBeside(target, name);
    if (beside === undefined) return [];
    const path = join(directory, name);
    const info = lookAt(path);
    return info !== undefined && (info.isDirectory || info.isFile)
      ? [{ path, ...beside, info }]
      : [];
  });
}

/**
 * Whether the run that made something has ended. On a disk of this machine the lock says so. What other
 * machines can write to as well may have locks of which each sees its own.
 */
function isDead({ path, run, info }: Leftover): boolean {
  return isOnBlockDevice(info) || isOfThisSystem(run) || Date.now() - lastChange(path) > SILENT_MS;
}

/** Whether a file system is on a device of this machine: those of networks and containers have no device. */
function isOnBlockDevice({ dev }: FileInfo): boolean {
  return Math.floor(dev / 2 ** 8) % 2 ** 12 !== 0;
}

/** When something or what it holds has changed last. */
function lastChange(path: string): number {
  const info = lookAt(path);
  if (info === undefined) return 0;
  const below = info.isDirectory
    ? disk.readDirSync(path).map(({ name }) => lastChange(join(path, name)))
    : [];
  return below.reduce((latest, time) => Math.max(latest, time), timeOf(info));
}

function timeOf({ mtime, ctime }: FileInfo): number {
  return Math.max(mtime?.getTime() ?? 0, ctime?.getTime() ?? 0);
}

function attempt(done: string, failed: string, action: () => void): string {
  try {
    action();
    return done;
  } catch (error) {
    return `${failed}: ${describeIoError(error)}: do it yourself`;
  }
}
