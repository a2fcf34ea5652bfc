import assert from "node:assert/strict";
import { join } from "node:path";
import { BadInputError } from "../lib/base/errors.ts";
import { namesIn, smallModel, stateOf, treeOf } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runIn } from "./run_cli.ts";

const mkdir = (...parts: string[]) => Deno.mkdirSync(join(...parts), { recursive: true });

/** Runs with a step that something else takes in the middle of it. */
function runWhile(root: string, step: () => void, ...flags: string[]) {
  let taken = false;
  let stderr = "";
  const world = {
    stderr: (text: string) => {
      stderr += text;
      if (!taken && text.startsWith("Quantizing")) {
        taken = true;
        step();
      }
    },
  };
  const argv = ["--model", join(root, "model"), "--output", join(root, "out")];
  return runIn(world, ...argv, "--report", join(root, "r.json"), ...flags)
    .then((outcome) => ({ ...outcome, stderr, taken }));
}

Deno.test("main() leaves a directory alone when it has appeared at the output meanwhile", async () => {
  await withFiles(smallModel(), async (root) => {
    const { code, stderr, taken } = await runWhile(root, () => {
      mkdir(root, "out");
      Deno.writeTextFileSync(join(root, "out/file"), "mine");
    });
    assert.deepEqual({ code, taken }, { code: 2, taken: true });
    assert.equal(
      stderr.split("\n").at(-2),
      `error: Cannot write "${root}/out": something has appeared there since the run began: remove it`,
    );
    assert.deepEqual(treeOf(root).filter((path) => !path.startsWith("model/")), [
      "out/",
      "out/file",
    ]);
  });
});

Deno.test("main() takes the output back when the report cannot be put in place", async () => {
  await withFiles(smallModel(), async (root) => {
    const { code, stderr } = await runWhile(root, () => mkdir(root, "r.json", "x"));
    assert.equal(code, 2);
    assert.match(
      stderr,
      /\nerror: Cannot write "[^"]+\/r.json": it is a directory: give a file name\n$/,
    );
    assert.deepEqual(namesIn(root), ["model", "r.json"]);
  });
});

Deno.test("main() puts the earlier output and report back when the log cannot be put in place", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await runWhile(root, () => {})).code, 0);
    Deno.removeSync(join(root, "r.log"));
    const before = stateOf(root);
    const step = () => mkdir(root, "r.log", "x");
    const { code, stderr } = await runWhile(root, step, "--overwrite", "--bit-width", "8");
    assert.equal(code, 2);
    assert.match(
      stderr,
      /\nerror: Cannot write "[^"]+\/r.log": it is a directory: give a file name\n$/,
    );
    Deno.removeSync(join(root, "r.log"), { recursive: true });
    assert.deepEqual(stateOf(root), before);
  });
});

Deno.test("main() leaves no weights when standard output is full", async () => {
  await withFiles(smallModel(), async (root) => {
    const full = {
      stdout: () => {
        throw new BadInputError("Cannot write to standard output: the disk is full");
      },
    };
    const argv = ["--model", join(root, "model"), "--output", join(root, "out")];
    const { code, stderr } = await runIn(full, ...argv, "--report", join(root, "r.json"));
    assert.equal(code, 2);
    assert.match(stderr, /\nerror: Cannot write to standard output: the disk is full\n$/);
    assert.deepEqual(namesIn(root), ["model"]);
    for (const args of [["--version"], ["--help"], ["inspect", join(root, "model")]]) {
      const outcome = await runIn(full, ...args);
      assert.equal(outcome.code, 2);
      assert.equal(outcome.stderr, "error: Cannot write to standard output: the disk is full\n");
    }
  });
});

Deno.test("main() fails when a weight file is written to while it is read", async () => {
  await withFiles(smallModel(), async (root) => {
    const weights = join(root, "model/model.safetensors");
    const before = namesIn(root);
    const { code, stderr } = await runWhile(root, () => Deno.utimeSync(weights, 1, 1));
    assert.equal(code, 2);
    assert.match(
      stderr,
      /\nerror: Cannot read "model.safetensors": it changed while it was being read/,
    );
    assert.deepEqual(namesIn(root), before);
  });
});
