/** What a piece of work takes of this process. */

import process from "node:process";

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
