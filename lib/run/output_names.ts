/** Names beside an output: what a run writes under until it is complete, what it moves aside, its lock. */

import { basename, dirname, join } from "node:path";
import { disk } from "../base/disk.ts";
import { cutToBytes } from "../base/text.ts";

/** What lies beside an output: a new one in the making, the one before, moved aside. */
export type Beside = "tmp" | "old";

/** Longest file name, in bytes of UTF-8, on the file systems in use. */
const MAX_NAME_BYTES = 255;

/** A system and a run of it, eight hexadecimal digits each. */
const RUN = /^[0-9a-f]{8}-[0-9a-f]{8}$/;

/** What stands for a system that cannot be told from others. */
const UNKNOWN_SYSTEM = "00000000";

/**
 * What tells this system, since it was started, from every other one: /dev/null is made anew at each start.
 * Numbers of processes would not do, since containers and machines that share a disk use the same ones.
 */
function nameSystem(): string {
  try {
    const { dev, ino, birthtime, ctime } = disk.statSync("/dev/null");
    return digest(`${dev} ${ino} ${(birthtime ?? ctime)?.getTime()}`);
  } catch {
    // There is none, or Deno was not given the permission to look at it.
    return UNKNOWN_SYSTEM;
  }
}

/** A name for a run that no other has. */
export function nameRun(): string {
  return `${nameSystem()}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Whether a run was one of this system, since it was started. */
export function isOfThisSystem(run: string): boolean {
  const system = run.slice(0, UNKNOWN_SYSTEM.length);
  return system !== UNKNOWN_SYSTEM && system === nameSystem();
}

/** A hidden name beside the target that no reader takes for a model and no other run picks. */
export function besideOf(target: string, kind: Beside, run: string): string {
  return join(dirname(target), `${stemOf(target)}.${kind}-${run}`);
}

/** The lock of a target. */
export function lockOf(target: string): string {
  return join(dirname(target), `${stemOf(target)}.lock`);
}

/** What a name beside a target is and of which run; `undefined` where it is not one of Isotherm's. */
export function readBeside(
  target: string,
  name: string,
): { kind: Beside; run: string } | undefined {
  for (const kind of ["tmp", "old"] as const) {
    const start = `${stemOf(target)}.${kind}-`;
    const run = name.slice(start.length);
    if (name.startsWith(start) && isRun(run)) return { kind, run };
  }
  return undefined;
}

/** Whether a name in the directory of a target is one that Isotherm uses beside it. */
export function isBeside(target: string, name: string): boolean {
  return name === basename(lockOf(target)) || readBeside(target, name) !== undefined;
}

/** Whether a text is the name of a run. */
export function isRun(text: string): boolean {
  return RUN.test(text);
}

/** The beginning of every name beside a target; of two targets in a directory never the same one. */
function stemOf(target: string): string {
  const name = basename(target);
  const longest = `..tmp-${UNKNOWN_SYSTEM}-${UNKNOWN_SYSTEM}`.length;
  if (new TextEncoder().encode(name).length <= MAX_NAME_BYTES - longest) return `.${name}`;
  const mark = `~${digest(name)}`;
  return `.${cutToBytes(name, MAX_NAME_BYTES - longest - mark.length)}${mark}`;
}

/** Eight hexadecimal digits of a text: FNV-1a over its UTF-16 code units. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
