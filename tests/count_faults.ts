/**
 * Fails runs at every call to the file system and kills them before every change, and prints how many points
 * there were and how they ended. `deno task faults`, which ends with an error where one ends badly. Names of
 * parts run those alone: `inline`, `pool`, `webgpu`, `kill`; a number N takes each Nth call.
 *
 * @module
 */

import { checkFaultPoints, type FaultRun, type Tally } from "./fault_points.ts";
import { NO_ADAPTER } from "./find_adapter.ts";
import { checkKillPoints } from "./kill_points.ts";

const names = Deno.args.filter((arg) => !/^\d+$/.test(arg));
const every = Math.max(1, Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 1));
const EACH = { from: 1, step: every, flags: [], replaces: false, manner: "once" } as const;
const GPU = ["--backend", "webgpu"];

const MANNERS = ["once", "for good", "short"] as const;
const vary = (run: FaultRun): FaultRun[] => MANNERS.map((manner) => ({ ...run, manner }));

const PARTS: Record<string, FaultRun[]> = {
  inline: [
    ...vary({ ...EACH, model: "small" }),
    ...vary({ ...EACH, model: "sharded" }),
    ...vary({ ...EACH, model: "small", replaces: true }),
  ],
  pool: [...vary({ ...EACH, model: "large" })],
  webgpu: NO_ADAPTER ? [] : vary({ ...EACH, model: "small", flags: GPU }),
};

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function show(what: string, tally: Tally): void {
  const counts = [...tally].sort(([a], [b]) => (a < b ? -1 : 1));
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  print(`${what}: ${all} points: ${counts.map(([end, count]) => `${count} ${end}`).join("; ")}`);
}

const wanted = names.length > 0 ? names : [...Object.keys(PARTS), "kill"];
if (NO_ADAPTER && wanted.includes("webgpu")) print("webgpu: no adapter, left out");
for (const [part, runs] of Object.entries(PARTS)) {
  if (!wanted.includes(part)) continue;
  for (const run of runs) {
    const replacing = run.replaces ? ", replacing" : "";
    show(`${part}, ${run.model} model${replacing}, ${run.manner}`, await checkFaultPoints(run));
  }
}
if (wanted.includes("kill")) {
  show("killed", await checkKillPoints(false));
  show("killed, replacing", await checkKillPoints(true));
}
