/**
 * Fails a run at each of its calls to the file system, one after the other, and checks what is left: the old
 * or the new, one line, and nothing else. `write_faults_test.ts` takes some of the points, `deno task faults`
 * all of them.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  contentOf,
  namesIn,
  shardedModel,
  smallModel,
  stateOf,
  writeLargeModel,
} from "./directories.ts";
import { type CallLog, type Manner, whileFailing } from "./fail_calls.ts";
import { withFiles } from "./make_model.ts";
import { type Outcome, runMain } from "./run_cli.ts";

/** A run to be failed. */
export interface FaultRun {
  /** Which model: in one file, in two shards, or so large that a pool of workers takes it. */
  model: "small" | "sharded" | "large";
  /** Flags besides those of the paths. */
  flags: readonly string[];
  /** Whether it replaces an earlier output. */
  replaces: boolean;
  /** How calls fail. */
  manner: Manner;
  /** The first call that fails, and the distance to the next one. */
  from: number;
  step: number;
}

/** How many points ended how. */
export type Tally = Map<string, number>;

/** Names that a failed call may leave behind, where it was one that removes or looks at them. */
const LEFT_OVER = /^\.(out|r\.json|r\.log)\.((tmp|old)-[0-9a-f]{8}-[0-9a-f]{8}|lock)$/;

/** Calls after whose failure something may stay: the next run removes it. */
const REMOVING = ["removeSync", "remove", "lstatSync", "file.statSync", "one of a worker"];

const REASONS = "the disk is full|the device failed to read or write";

/** A line on standard error that is no error: of the run itself and of what the one before has left. */
const NOTICES = /^(Quantizing|Not copied|Verdict|Report|Removed|Put|Left|Warning|Output| )/;

/** Fails a run at its calls, and counts how it ended. */
export async function checkFaultPoints(run: FaultRun): Promise<Tally> {
  const tally: Tally = new Map();
  const count = (outcome: string) => tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
  const files = run.model === "small"
    ? smallModel()
    : run.model === "sharded"
    ? shardedModel()
    : {};
  await withFiles(files, async (root) => {
    const model = join(root, "model");
    if (run.model === "large") writeLargeModel(model, 4);
    const quantize = (bits: number) =>
      runMain(
        ...["--model", model, "--output", join(root, "out"), "--report", join(root, "r.json")],
        ...["--bit-width", String(bits), ...run.flags, ...run.replaces ? ["--overwrite"] : []],
      );
    const untouched = () => (run.model === "large" ? timesOf(model) : stateOf(model));
    const before = untouched();
    const visible = () => visibleIn(root);
    if (run.replaces) assert.equal((await quantize(8)).code, 0);
    let bits = 8;
    let earlier = visible();
    for (let number = run.from;; number += run.step) {
      const next = bits === 8 ? 2 : 8;
      let outcome: Outcome = { code: -1, stdout: "", stderr: "" };
      const log = await whileFailing(number, run.manner, async () => {
        outcome = await quantize(next);
      });
      const where = `${run.model}, ${run.manner}, call ${number}, ${log.failed}: ${outcome.stderr}`;
      assert.deepEqual(untouched(), before, where);
      const isNew = outcome.code === 0 || outcome.stderr.includes("\nerror: Wrote ");
      if (outcome.code !== 0) checkMessage(outcome, where);
      if (isNew) checkNew(root, next, where);
      else assert.deepEqual(visible(), earlier, where);
      const left = checkNames(root, isNew || run.replaces, log, where);
      count(
        `${isNew ? "new" : run.replaces ? "old" : "none"}${left > 0 ? ", something left" : ""}`,
      );
      if (left > 0) await checkCleared(root, () => quantize(next), where);
      if (isNew && run.replaces) [bits, earlier] = [next, visible()];
      if (!run.replaces) {
        for (const name of namesIn(root)) {
          if (name !== "model") Deno.removeSync(join(root, name), { recursive: true });
        }
      } else if (left > 0) {
        [bits, earlier] = [next, visible()];
      }
      if (log.failed === undefined) break;
    }
  });
  return tally;
}

/** When the files of a large model were written, which is known sooner than what they hold. */
function timesOf(model: string): unknown {
  return namesIn(model).map((name) => {
    const { mtime, size, mode } = Deno.statSync(join(model, name));
    return { name, mtime, size, mode };
  });
}

/** What a user sees of a run: its output and its report. */
function visibleIn(root: string): unknown {
  const names = namesIn(root);
  return {
    out: names.includes("out") ? contentOf(join(root, "out")) : undefined,
    report: names.includes("r.json") ? Deno.readTextFileSync(join(root, "r.json")) : undefined,
  };
}

/** A failed run says so in one line and is not a bug. */
function checkMessage({ code, stderr }: Outcome, where: string): void {
  assert.equal(code, 2, where);
  const lines = stderr.split("\n");
  assert.equal(lines.pop(), "", where);
  assert.match(lines.pop()!, new RegExp(`^error: [A-Z][^\n]*: (${REASONS})`), where);
  for (const line of lines) assert.match(line, NOTICES, where);
}

/** The new output is whole, and its report belongs to it. */
function checkNew(root: string, bits: number, where: string): void {
  const report = JSON.parse(Deno.readTextFileSync(join(root, "r.json")));
  assert.equal(report.bit_width, bits, where);
  const config = Deno.readTextFileSync(join(root, "out/config.json"));
  assert.match(config, new RegExp(`"num_bits": ${bits},`), where);
}

/** Nothing is left but what could not be removed; how many names that are. */
function checkNames(root: string, isThere: boolean, { failed }: CallLog, where: string): number {
  const names = namesIn(root);
  const left = names.filter((name) => LEFT_OVER.test(name));
  if (!REMOVING.includes(failed ?? "")) assert.deepEqual(left, [], where);
  const expected = isThere ? ["model", "out", "r.json", "r.log"] : ["model"];
  assert.deepEqual(names.filter((name) => !LEFT_OVER.test(name)), expected, where);
  return left.length;
}

/** The next run clears what was left, and names it. */
async function checkCleared(
  root: string,
  quantize: () => Promise<Outcome>,
  where: string,
): Promise<void> {
  const left = namesIn(root).filter((name) => LEFT_OVER.test(name) && !name.endsWith(".lock"));
  const { stderr } = await quantize();
  assert.deepEqual(namesIn(root).filter((name) => LEFT_OVER.test(name)), [], where);
  for (const name of left) assert.ok(stderr.includes(name), `${where}\n${stderr}`);
}
