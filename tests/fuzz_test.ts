/** What fuzzing has found, case by case, and that it finds. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkCase } from "./fuzz/check_case.ts";
import { createRandom, mutate, pick } from "./fuzz/mutate.ts";
import { makeTargets } from "./fuzz/targets.ts";
import { withFiles } from "./make_model.ts";

const CORPUS = fileURLToPath(new URL("./fuzz/corpus/", import.meta.url));

const targets = await makeTargets();

for (const { name } of [...Deno.readDirSync(CORPUS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  Deno.test(`every command ends well on the finding ${name}`, () =>
    withFiles({}, async (root) => {
      const target = targets.get(name.split(".")[0]!)!;
      const { problem } = await checkCase(root, target, Deno.readFileSync(join(CORPUS, name)));
      assert.equal(problem, undefined);
    }));
}

for (const [kind, target] of targets) {
  Deno.test(`the fuzzer's ${kind} is taken as long as it is whole`, () =>
    withFiles({}, async (root) => {
      const verdict = await checkCase(root, target, target.seed);
      assert.equal(verdict.problem, undefined);
      assert.equal(verdict.succeeded, verdict.executions);
      assert.deepEqual([...Deno.readDirSync(root)], []);
    }));
}

Deno.test("checkCase() finds what is no answer, no single line, unsafe or left behind", () =>
  withFiles({}, async (root) => {
    const target = {
      layout: "json",
      path: "x",
      seed: new Uint8Array(),
      files: {},
      commands: [["a"]],
    } as const;
    const outcome = { code: 2, stdout: "", stderr: "error: no\n" };
    const problemOf = async (change: Partial<typeof outcome>, work = () => {}) => {
      const run = () => {
        work();
        return Promise.resolve({ ...outcome, ...change });
      };
      const commands = target.commands.map((command) => [...command]);
      return (await checkCase(root, { ...target, commands }, target.seed, run)).problem;
    };
    assert.equal(await problemOf({}), undefined);
    assert.equal(await problemOf({ code: 1 }), "a: exit code 1: error: no\n");
    assert.equal(await problemOf({ stderr: "" }), "a: exit code 2 with 0 lines of error");
    assert.equal(await problemOf({ code: 0 }), "a: exit code 0 with 1 lines of error");
    assert.equal(
      await problemOf({ stderr: "error: a\nerror: b\n" }),
      "a: exit code 2 with 2 lines of error",
    );
    assert.equal(await problemOf({ stderr: "error: a\n  at\n" }), "a: text behind the error");
    assert.equal(
      await problemOf({ stderr: "error: \x1b[0m\n" }),
      "a: control characters in what it says",
    );
    assert.equal(await problemOf({ stderr: "error: undefined\n" }), "a: error: undefined");
    const leave = () => Deno.writeTextFileSync(join(root, ".left"), "");
    assert.equal(await problemOf({}, leave), "a: it left .left x");
    const broken = [["--output", "ROOT/out"]];
    const { problem } = await checkCase(
      root,
      { ...target, commands: broken },
      target.seed,
      (argv) =>
        Promise.resolve(argv[0] === "verify" ? outcome : { ...outcome, code: 0, stderr: "" }),
    );
    assert.equal(problem, "verify refuses what the run wrote");
  }));

Deno.test("mutate() gives the same documents for the same seed, and nearly always others than it got", () => {
  for (const { seed, layout } of targets.values()) {
    const draw = () => {
      const random = createRandom(7);
      return Array.from({ length: 100 }, () => mutate(random, seed, layout));
    };
    const drawn = draw();
    assert.deepEqual(drawn, draw());
    const changed = drawn.filter((bytes) => !isSame(bytes, seed));
    assert.ok(changed.length > 80, `${changed.length}`);
  }
  assert.equal(pick(() => 0.999, [1, 2, 3]), 3);
});

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
