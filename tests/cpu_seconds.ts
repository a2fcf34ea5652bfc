/** Time that holds on a busy machine. */

import process from "node:process";

/** Seconds of processor time that this process takes for `work`; other processes do not count. */
export function cpuSeconds(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}
