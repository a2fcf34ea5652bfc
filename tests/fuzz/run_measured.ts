/** Runs the command line as a process and sees how much memory it had at most. */

import { fileURLToPath } from "node:url";
import { type Outcome, outcomeOf, spawnCli } from "../run_cli.ts";

const PRELOAD = fileURLToPath(new URL("../peak/report_peak.ts", import.meta.url));

let most = 0;

/** The most that any process had since this was asked last, in MB. */
export function readPeak(): number {
  const peak = most;
  most = 0;
  return peak;
}

/** Runs the command line to its end. */
export async function runMeasured(argv: string[]): Promise<Outcome> {
  const permissions = ["--preload", PRELOAD, "--allow-all"];
  const outcome = await outcomeOf(spawnCli(argv, { permissions }));
  const [line = "", kb] = /^peak (\d+)\n/m.exec(outcome.stderr) ?? [];
  most = Math.max(most, Number(kb) / 1024);
  return { ...outcome, stderr: outcome.stderr.replace(line, "") };
}
