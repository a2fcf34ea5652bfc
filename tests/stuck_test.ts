/** A signal ends a run whatever it waits for: a worker or a disk that never answers. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { namesIn, smallModel, writeLargeModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { outcomeOf, runMain, spawnCli } from "./run_cli.ts";

/** Far more than the two seconds that are promised: a machine may be busy. Without a promise kept it is never. */
const DEADLINE_MS = 20_000;

/** Starts the command line with something stuck, sends a signal once it is at work, and waits for its end. */
async function interrupt(stuck: string, signal: Deno.Signal, root: string, argv: string[]) {
  const preload = fileURLToPath(new URL(`./stuck/${stuck}.ts`, import.meta.url));
  const permissions = ["--preload", preload, "--allow-read", "--allow-write"];
  const child = spawnCli(argv, { permissions, cwd: root });
  const outcome = outcomeOf(child);
  // Long enough to be at work, even on a busy machine: it would wait for ever.
  await new Promise((resume) => setTimeout(resume, 1500));
  child.kill(signal);
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), DEADLINE_MS);
  const ended = await Promise.race([outcome, late]);
  clearTimeout(timer);
  if (ended === undefined) child.kill("SIGKILL");
  assert.ok(ended !== undefined, "the process stayed alive");
  return ended;
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`the command line ends with ${code} on ${signal} when its workers are stuck`, async () => {
    await withFiles({}, async (root) => {
      writeLargeModel(join(root, "model"), 4);
      const run = ["--model", "model", "--output", "out", "--report", "r.json"];
      const outcome = await interrupt("worker", signal, root, run);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.equal(outcome.stderr.split("\n").at(-2), "error: Interrupted: nothing was written");
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
}

Deno.test("the command line ends with 143 on SIGTERM when its disk is stuck", async () => {
  await withFiles(smallModel(), async (root) => {
    const run = ["--model", "model", "--output", "out", "--report", "r.json"];
    const outcome = await interrupt("disk", "SIGTERM", root, run);
    assert.equal(outcome.code, 143, outcome.stderr);
    assert.equal(outcome.stderr.split("\n").at(-2), "error: Interrupted: nothing was written");
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("verify ends with 143 on SIGTERM when its disk is stuck", async () => {
  await withFiles(smallModel(), async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    assert.equal((await runMain(...run)).code, 0);
    const outcome = await interrupt("disk", "SIGTERM", root, [
      "verify",
      "out",
      "--against",
      "model",
    ]);
    assert.equal(outcome.code, 143, outcome.stderr);
    assert.equal(outcome.stderr, "error: Interrupted: nothing was written\n");
  });
});
