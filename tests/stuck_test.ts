/** A signal ends a run whatever it waits for: a worker or a disk that never answers. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { disk } from "../lib/base/disk.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { namesIn, smallModel, writeLargeModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
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

Deno.test("the command line ends with 143 on SIGTERM when nothing can be removed either", async () => {
  await withFiles(smallModel(), async (root) => {
    const run = ["--model", "model", "--output", "out", "--report", "r.json"];
    const outcome = await interrupt("cleanup", "SIGTERM", root, run);
    assert.equal(outcome.code, 143, outcome.stderr);
    assert.ok(!namesIn(root).includes("out"));
  });
});

Deno.test("quantizeModel() removes nothing before what was under way has ended", async () => {
  await withFiles(smallModel(), async (root) => {
    const events: string[] = [];
    const controller = new AbortController();
    const { open, remove } = disk;
    // The first file is only there some time after the signal was heard.
    disk.open = async (...args) => {
      controller.abort();
      await new Promise((resume) => setTimeout(resume, 100));
      events.push("opened");
      return await open(...args);
    };
    disk.remove = (...args) => {
      events.push("removed");
      return remove(...args);
    };
    try {
      const { signal } = controller;
      const [model, output] = [join(root, "model"), join(root, "out")];
      await assert.rejects(quantizeModel(model, output, DEFAULT_SETTINGS, { signal }), {
        name: "InterruptedError",
      });
    } finally {
      Object.assign(disk, { open, remove });
    }
    assert.equal(events[0], "opened");
    assert.equal(events.at(-1), "removed");
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("a program ends by itself when quantizeModel() and verifyCheckpoint() have used workers", async () => {
  await withFiles({}, async (root) => {
    writeLargeModel(join(root, "model"), 4);
    const mod = JSON.stringify(new URL("../mod.ts", import.meta.url).href);
    const program = `
      import { DEFAULT_SETTINGS, quantizeModel, verifyCheckpoint } from ${mod};
      await quantizeModel("model", "out", DEFAULT_SETTINGS);
      await verifyCheckpoint("out", "model");
      console.log("done");
    `;
    Deno.writeTextFileSync(join(root, "program.ts"), program);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", "--allow-write=.", "program.ts"],
      cwd: root,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const { code, stdout, stderr } = await outcomeOf(child);
    clearTimeout(timer);
    assert.deepEqual([code, stdout], [0, "done\n"], stderr);
  });
});

Deno.test("verify ends with 143 on SIGTERM when its disk is stuck", async () => {
  // Larger than what is read on the spot.
  const weights = encodeFile([matrix("blocks.0.fc.weight", 1024, 512, noise(1))]);
  await withFiles({ "model/model.safetensors": weights }, async (root) => {
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
