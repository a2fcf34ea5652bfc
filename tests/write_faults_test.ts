import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { createFile, openSink } from "../lib/safetensors/write.ts";
import { contentOf, namesIn, shardedModel, smallModel, stateOf } from "./directories.ts";
import { type CallLog, whileFailing, whileShort, whileWatchingSyncs } from "./fail_calls.ts";
import { withFiles } from "./make_model.ts";
import { type Outcome, runMain } from "./run_cli.ts";

/** More calls than a run on these models makes. */
const MOST_CALLS = 500;

/** What a failed call may leave behind: a file that could not be removed, under a hidden name. */
const LEFT_OVER = /^\.(out|r\.json|r\.log)\.(tmp|old)-\d+-[0-9a-f]{8}$/;

/** Quantizes `root/model` while call number `number` fails; 0: none does. */
async function runFailing(root: string, number: number, persistent: boolean, flags: string[]) {
  let outcome: Outcome = { code: -1, stdout: "", stderr: "" };
  const log = await whileFailing(number, persistent, async () => {
    outcome = await runMain(
      ...["--model", join(root, "model"), "--output", join(root, "out")],
      ...["--report", join(root, "r.json"), ...flags],
    );
  });
  return { outcome, log };
}

/** A failed run says so in one line and is not a bug. */
function checkMessage({ code, stderr }: Outcome, where: string): void {
  assert.equal(code, 2, `${where}: ${stderr}`);
  const lines = stderr.split("\n");
  assert.equal(lines.at(-1), "", where);
  const reasons = "the disk is full|the device failed to read or write";
  assert.match(lines.at(-2)!, new RegExp(`^error: [A-Z][^\n]*: (${reasons})`), where);
}

function checkNames(root: string, expected: string[], { failed }: CallLog, where: string): void {
  const names = namesIn(root);
  const left = names.filter((name) => LEFT_OVER.test(name));
  // What cannot be removed has to stay.
  if (failed !== "removeSync" && failed !== "remove") assert.deepEqual(left, [], where);
  assert.deepEqual(names.filter((name) => !LEFT_OVER.test(name)), expected, where);
}

/** Fails call after call until a run makes fewer, and gives back how many there were. */
async function failEach(check: (number: number) => Promise<CallLog>): Promise<string[]> {
  for (let number = 1; number < MOST_CALLS; number++) {
    const { failed, calls } = await check(number);
    if (failed === undefined) return calls;
  }
  return assert.fail("runs never end without a failure");
}

for (const persistent of [false, true]) {
  const manner = persistent ? "for good" : "once";
  for (const [kind, files] of Object.entries({ small: smallModel(), sharded: shardedModel() })) {
    Deno.test(`main() leaves no trace when any call fails ${manner} on a ${kind} model`, async () => {
      await withFiles(files, async (root) => {
        const before = stateOf(join(root, "model"));
        const calls = await failEach(async (number) => {
          const { outcome, log } = await runFailing(root, number, persistent, []);
          const where = `call ${number}, ${log.failed}`;
          assert.deepEqual(stateOf(join(root, "model")), before, where);
          if (outcome.code === 0) {
            checkNames(root, ["model", "out", "r.json", "r.log"], log, where);
          } else {
            checkMessage(outcome, where);
            checkNames(root, ["model"], log, where);
          }
          for (const name of namesIn(root)) {
            if (name !== "model") Deno.removeSync(join(root, name), { recursive: true });
          }
          return log;
        });
        for (const call of ["mkdirSync", "truncate", "write", "sync", "renameSync"]) {
          assert.ok(calls.includes(call), call);
        }
      });
    });
  }
}

Deno.test("main() leaves the earlier output or the new one when any call fails", async () => {
  await withFiles(smallModel(), async (root) => {
    const out = join(root, "out");
    const parts = () =>
      new Map([...contentOf(root)].filter(([path]) => !path.startsWith(".") && path !== "r.log"));
    assert.equal((await runFailing(root, 0, false, ["--bit-width", "8"])).outcome.code, 0);
    let earlier = parts();
    let last = 8;
    await failEach(async (number) => {
      const next = last === 8 ? 2 : 8;
      const flags = ["--overwrite", "--bit-width", String(next)];
      const { outcome, log } = await runFailing(root, number, false, flags);
      const where = `call ${number}, ${log.failed}`;
      checkNames(root, ["model", "out", "r.json", "r.log"], log, where);
      const isNew = outcome.code === 0 || outcome.stderr.includes("error: Wrote ");
      if (isNew) {
        last = next;
        const report = JSON.parse(Deno.readTextFileSync(join(root, "r.json")));
        assert.equal(report.bit_width, next, where);
        assert.match(
          Deno.readTextFileSync(join(out, "config.json")),
          new RegExp(`"num_bits": ${next},`),
        );
        earlier = parts();
      } else {
        checkMessage(outcome, where);
        assert.deepEqual(parts(), earlier, where);
      }
      for (const name of namesIn(root)) {
        if (LEFT_OVER.test(name)) Deno.removeSync(join(root, name), { recursive: true });
      }
      return log;
    });
  });
});

Deno.test("main() puts every file on the disk when nothing is in place yet", async () => {
  await withFiles(smallModel(), async (root) => {
    const calls = await whileWatchingSyncs(async () => {
      assert.equal((await runFailing(root, 0, false, [])).outcome.code, 0);
    });
    const names = calls.map(({ call, path }) => {
      const name = relative(root, path).replace(/\.tmp-[^/]*/, "").replace(/^\./, "");
      return `${call} ${name || "."}`;
    });
    const first = names.findIndex((name) => name.startsWith("rename"));
    // Everything that is written, and the directory itself; afterwards the directory they are all in.
    assert.deepEqual(names.slice(0, first).toSorted(), [
      "sync out",
      "sync out/config.json",
      "sync out/model.safetensors",
      "sync out/time_groups.isotherm",
      "sync out/tokenizer_config.json",
      "sync r.json",
      "sync r.log",
    ]);
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
