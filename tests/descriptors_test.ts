/** However many shards a model has, few files are open at a time. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { disk, type OpenFile } from "../lib/base/disk.ts";
import { TASKS_AT_ONCE } from "../lib/run/run_tasks.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { cliCommand } from "./run_cli.ts";

/** A model of so many shards, each of which has one layer. */
function shardedModel(shards: number): Record<string, Uint8Array | string> {
  const names = Array.from(
    { length: shards },
    (_, i) => `model-${String(i + 1).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}`,
  );
  const weight_map = Object.fromEntries(
    names.map((name, i) => [`layers.${i}.weight`, `${name}.safetensors`]),
  );
  return {
    "model/model.safetensors.index.json": JSON.stringify({ metadata: {}, weight_map }),
    ...Object.fromEntries(names.map((name, i) => [
      `model/${name}.safetensors`,
      encodeFile([matrix(`layers.${i}.weight`, 8, 16, noise(i), "BF16")]),
    ])),
  };
}

/** Counts the files that are open at a time while `action` runs: at most, and in the end. */
async function countOpen(action: () => Promise<unknown>): Promise<{ most: number; left: number }> {
  const count = { most: 0, left: 0 };
  const watched = (file: OpenFile): OpenFile => {
    count.most = Math.max(count.most, ++count.left);
    const close = () => {
      count.left--;
      file.close();
    };
    return { ...file, close };
  };
  const { open, openSync } = disk;
  try {
    disk.open = async (...args) => watched(await open(...args));
    disk.openSync = (...args) => watched(openSync(...args));
    await action();
  } finally {
    Object.assign(disk, { open, openSync });
  }
  return count;
}

Deno.test("a run has no more files open at a time when a model has more shards", async () => {
  await withFiles(shardedModel(300), async (root) => {
    for (const phase of ["baseline", "optimize", "smooth"] as const) {
      const settings = { ...DEFAULT_SETTINGS, phase, granularity: "slice" as const, timeGroups: 2 };
      const { most, left } = await countOpen(() =>
        quantizeModel(join(root, "model"), join(root, phase), settings)
      );
      // A file for each task that writes parameters, two sources and two targets, the one being flushed.
      assert.ok(most > 2 && most <= TASKS_AT_ONCE + 8, `${most} files in phase ${phase}`);
      assert.equal(left, 0);
    }
  });
});

Deno.test("the command line quantizes and verifies 300 shards where 100 files may be open", async () => {
  await withFiles(shardedModel(300), async (root) => {
    const run = async (...argv: string[]) => {
      const { code, stderr } = await new Deno.Command("sh", {
        args: ["-c", 'ulimit -n 100; exec "$@"', "sh", ...cliCommand(argv)],
        cwd: root,
        stdin: "null",
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    };
    await run("--model", "model", "--output", "out");
    await run("verify", "out", "--against", "model");
    const written = [...Deno.readDirSync(join(root, "out"))];
    assert.equal(written.filter(({ name }) => name.endsWith(".safetensors")).length, 300);
  });
});
