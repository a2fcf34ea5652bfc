/** What a piece of work takes of this process. */

import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What it took. */
export interface Cost {
  seconds: number;
  /** Of all threads. */
  cpuSeconds: number;
  /** The most memory that this process ever had. */
  peakMb: number;
}

/** Does a piece of work and measures it; the peak is read from `/proc`. */
export async function measureCost(work: () => Promise<unknown>): Promise<Cost> {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const status = Deno.readTextFileSync("/proc/self/status");
  const peakMb = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)![1]) * 1024 / 1e6;
  return { seconds, cpuSeconds: (user + system) / 1e6, peakMb };
}

/**
 * What a script takes in a process of its own, in which it prints a {@linkcode Cost} as JSON.
 *
 * @param script Its URL.
 * @param args What follows `--run`.
 */
export async function costApart(
  script: string,
  args: readonly string[],
  options: { cwd?: string } = {},
): Promise<Cost> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", fileURLToPath(script), "--run", ...args],
    ...options,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)) as Cost;
}
