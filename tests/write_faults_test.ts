import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { createFile, openSink } from "../lib/safetensors/write.ts";
import { contentOf, shardedModel, smallModel } from "./directories.ts";
import { whileShort, whileWatchingSyncs } from "./fail_calls.ts";
import { checkFaultPoints, type FaultRun } from "./fault_points.ts";
import { withAdapter } from "./find_adapter.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const ALL = { from: 1, step: 1, flags: [], replaces: false, manner: "once" } as const;

/** Runs whose every call fails, and at least how many those are. */
const EACH: [what: string, run: FaultRun, points: number][] = [
  ["any call fails once on a small model", { ...ALL, model: "small" }, 150],
  ["any call fails once on a sharded model", { ...ALL, model: "sharded" }, 150],
  ["any call fails for good on a small model", { ...ALL, model: "small", manner: "for good" }, 150],
  ["any call is short on a sharded model", { ...ALL, model: "sharded", manner: "short" }, 30],
  ["any call fails once and it replaces", { ...ALL, model: "small", replaces: true }, 150],
  ["calls of workers fail", { ...ALL, model: "large", from: 150, step: 150 }, 3],
];

for (const [what, run, points] of EACH) {
  Deno.test(`main() leaves the old or the new and nothing else when ${what}`, async () => {
    const tally = await checkFaultPoints(run);
    const all = [...tally.values()].reduce((sum, count) => sum + count, 0);
    assert.ok(all >= points, `${all} points`);
    if (run.manner === "short") assert.deepEqual([...tally.keys()], ["new"]);
    else assert.ok(tally.get(run.replaces ? "old" : "none")! > points / 2, `${[...tally]}`);
  });
}

withAdapter.test("main() leaves nothing when calls fail while a device computes", async () => {
  const run = {
    ...ALL,
    model: "small",
    flags: ["--backend", "webgpu"],
    from: 60,
    step: 23,
  } as const;
  const tally = await checkFaultPoints(run);
  assert.ok(tally.get("none")! >= 3, `${[...tally]}`);
});

Deno.test("main() puts every file on the disk when nothing is in place yet", async () => {
  await withFiles(smallModel(), async (root) => {
    Deno.mkdirSync(join(root, "model/sub/deep"), { recursive: true });
    Deno.writeTextFileSync(join(root, "model/sub/deep/code.py"), "1");
    const calls = await whileWatchingSyncs(async () => {
      const { code, stderr } = await runMain(
        ...["--model", join(root, "model"), "--output", join(root, "out")],
        ...["--report", join(root, "r.json")],
      );
      assert.equal(code, 0, stderr);
    });
    const names = calls.map(({ call, path }) => {
      const name = relative(root, path).replace(/\.tmp-[^/]*/, "").replace(/^\./, "");
      return `${call} ${name || "."}`;
    });
    // Everything that is written, and its directories, with what is to be put in place last.
    const first = names.findIndex((name) => name.startsWith("rename"));
    assert.deepEqual(names.slice(0, first).toSorted(), [
      "sync out",
      "sync out.lock",
      "sync out/config.json",
      "sync out/model.safetensors",
      "sync out/sub",
      "sync out/sub/deep",
      "sync out/sub/deep/code.py",
      "sync out/time_groups.isotherm",
      "sync out/tokenizer_config.json",
      "sync r.json",
      "sync r.log",
    ]);
    // Afterwards the directory they are all in.
    assert.deepEqual(names.slice(first), [
      ...["rename out", "sync .", "rename r.json", "sync .", "rename r.log", "sync ."],
    ]);
  });
});

Deno.test("main() writes the same bytes when files take and give only some at a time", async () => {
  await withFiles(shardedModel(), async (root) => {
    const run = (output: string) =>
      runMain(
        ...["--model", join(root, "model"), "--output", join(root, output)],
        ...["--report", join(root, `${output}.json`)],
      );
    assert.equal((await run("whole")).code, 0);
    await whileShort(7, async () => assert.equal((await run("pieces")).code, 0));
    assert.deepEqual(contentOf(join(root, "pieces")), contentOf(join(root, "whole")));
  });
});

Deno.test("a file that takes no more bytes is refused, and not waited for", async () => {
  await withFiles({}, async (root) => {
    const refused = {
      name: "BadInputError",
      message: 'Cannot write "file": it takes no more bytes',
    };
    const path = join(root, "file");
    await createFile(path, "file", 8, new Uint8Array(0));
    await whileShort(0, async () => {
      const sink = openSink(path, "file");
      assert.throws(() => sink.write(0, new Uint8Array(8)), refused);
      await assert.rejects(sink.writeLater(0, new Uint8Array(8)), refused);
      sink.close();
    });
  });
});
