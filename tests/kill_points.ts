/**
 * Kills a run before each of its disk-changing calls, and checks what is there, and what the next run makes
 * of it. `kill_points_test.ts` and `deno task faults` take all of the points.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { contentOf, namesIn, smallModel, stateOf } from "./directories.ts";
import type { Tally } from "./fault_points.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Widths of the earlier output and of the new one. */
const BITS = { old: 8, new: 4 } as const;

/** More calls than a run makes. */
const MOST_CALLS = 200;

/** Runs at once. */
const AT_ONCE = 2;

const RUN_KILLED = fileURLToPath(new URL("./run_killed.ts", import.meta.url));
const LOCK = fileURLToPath(new URL("./deno.lock", import.meta.url));

function flagsFor(root: string, bits: number): string[] {
  return [
    ...["--model", join(root, "model"), "--output", join(root, "out")],
    ...["--report", join(root, "r.json"), "--bit-width", String(bits)],
  ];
}

/** Which of the two an output is, by its report and its config. */
type Which = "old" | "new" | "none";

/** What is under the final names: each as a whole, or nothing. */
function look(root: string, whole: ReadonlyMap<Which, unknown>): { out: Which; report: Which } {
  const names = namesIn(root);
  const report = names.includes("r.json")
    ? JSON.parse(Deno.readTextFileSync(join(root, "r.json"))).bit_width
    : undefined;
  const out = names.includes("out") ? contentOf(join(root, "out")) : undefined;
  const found = [...whole].find(([, content]) => {
    try {
      assert.deepEqual(out, content);
      return true;
    } catch {
      return false;
    }
  });
  assert.ok(out === undefined || found !== undefined, `half an output: ${[...out?.keys() ?? []]}`);
  return {
    out: found?.[0] ?? "none",
    report: report === BITS.old ? "old" : report === BITS.new ? "new" : "none",
  };
}

/**
 * Kills runs, and counts what was there.
 *
 * @param replaces Whether there is an earlier output.
 */
export async function checkKillPoints(replaces: boolean): Promise<Tally> {
  const tally: Tally = new Map();
  const whole = new Map<Which, unknown>();
  for (const which of ["old", "new"] as const) {
    await withFiles(smallModel(), async (root) => {
      assert.equal((await runMain(...flagsFor(root, BITS[which]))).code, 0);
      whole.set(which, contentOf(join(root, "out")));
    });
  }
  let number = 0;
  let hasEnded = false;
  const lanes = Array.from({ length: AT_ONCE }, async () => {
    while (!hasEnded && number < MOST_CALLS) {
      const point = ++number;
      const ended = await checkKillPoint(point, replaces, whole, tally);
      hasEnded ||= ended;
    }
  });
  await Promise.all(lanes);
  assert.ok(hasEnded, "runs never end without being killed");
  return tally;
}

/** Whether the run made fewer calls and ended by itself. */
async function checkKillPoint(
  number: number,
  replaces: boolean,
  whole: ReadonlyMap<Which, unknown>,
  tally: Tally,
): Promise<boolean> {
  let hasEnded = false;
  await withFiles(smallModel(), async (root) => {
    if (replaces) assert.equal((await runMain(...flagsFor(root, BITS.old))).code, 0);
    const before = stateOf(join(root, "model"));
    const argv = [...flagsFor(root, BITS.new), ...replaces ? ["--overwrite"] : []];
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `--lock=${LOCK}`, RUN_KILLED, String(number), ...argv],
    }).output();
    hasEnded = code === 0;
    if (hasEnded) return;
    assert.equal(code, 137);
    const { out, report } = look(root, whole);
    const state = `output ${out}, report ${report}`;
    tally.set(state, (tally.get(state) ?? 0) + 1);
    const left = namesIn(root).filter((name) => /\.(tmp|old)-/.test(name));
    // Without --overwrite: what is there, or is put in place first, is kept.
    const next = await runMain(...flagsFor(root, BITS.new));
    const where = `${state} before call ${number}: ${next.stderr}`;
    assert.equal(next.code, next.stderr.includes("it exists and is not empty") ? 2 : 0, where);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"], where);
    const after = look(root, whole);
    assert.equal(after.out, after.report, where);
    const log = Deno.readTextFileSync(join(root, "r.log"));
    assert.ok(log.includes(`to INT${BITS[after.out as keyof typeof BITS]}`), where);
    if (out === "new") assert.equal(after.out, "new", where);
    if (out === "old") assert.equal(after.out, "old", where);
    // What had not begun to be put in place is not put there.
    if (report === "none" && out === "none") assert.equal(next.code, 0, where);
    for (const name of left) {
      const isNamed = next.stderr.includes(name) || next.stderr.includes("in place, which a run");
      assert.ok(isNamed, `${name}, ${where}`);
    }
    assert.deepEqual(stateOf(join(root, "model")), before, where);
  });
  return hasEnded;
}
