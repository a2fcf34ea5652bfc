/** Two runs on one output, and what killed runs have left beside it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { lockOutput } from "../lib/run/output_lock.ts";
import { pendingDirectory, pendingFile } from "../lib/run/pending_output.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { contentOf, namesIn, smallModel } from "./directories.ts";
import { interceptCalls } from "./fail_calls.ts";
import { withFiles } from "./make_model.ts";
import { type Outcome, runIn, runMain } from "./run_cli.ts";

const flags = (root: string, output = "out", report = "r.json") => [
  ...["--model", join(root, "model"), "--output", join(root, output)],
  ...["--report", join(root, report)],
];

/** Runs, and does something else when the work has begun. */
async function runWhile(root: string, step: () => Promise<unknown> | void, ...more: string[]) {
  let stderr = "";
  let stepping: Promise<unknown> | undefined;
  const world = {
    stderr: (text: string) => {
      stderr += text;
      if (text.startsWith("Quantizing")) stepping ??= Promise.resolve(step());
    },
  };
  const outcome = await runIn(world, ...flags(root), ...more);
  await stepping;
  return { ...outcome, stderr };
}

const lastLine = ({ stderr }: Pick<Outcome, "stderr">) => stderr.split("\n").at(-2);

const busy = (path: string) =>
  `error: Cannot write "${path}": another run is writing to it: ` +
  "wait until it has ended, or give another path";

for (
  const [what, output, report, name] of [
    ["the same output", "out", "other.json", "out"],
    ["the same report", "other", "r.json", "r.json"],
  ] as const
) {
  Deno.test(`main() refuses ${what} while another run writes to it, and that one is whole`, async () => {
    await withFiles(smallModel(), async (root) => {
      let second: Outcome | undefined;
      const first = await runWhile(root, async () => {
        second = await runMain(...flags(root, output, report), "--bit-width", "8", "--overwrite");
      });
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual([second!.code, lastLine(second!)], [2, busy(join(root, name))]);
      assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
      assert.equal(JSON.parse(Deno.readTextFileSync(join(root, "r.json"))).bit_width, 2);
    });
  });
}

Deno.test("main() takes a lock over that a killed run has left", async () => {
  await withFiles({ ...smallModel(), ".out.lock": "", ".r.json.lock": "{}\n" }, async (root) => {
    const { code, stderr } = await runMain(...flags(root));
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});

Deno.test("lockOutput() does not take a file for the lock that its owner has removed meanwhile", async () => {
  await withFiles({ ".out.lock": "" }, (root) => {
    const { openSync } = disk;
    let removed = 0;
    disk.openSync = (path, how) => {
      const file = openSync(path, how);
      if (how === "write" && removed++ === 0) Deno.removeSync(path);
      return file;
    };
    try {
      const target = join(root, "out");
      const lock = lockOutput(target, "out");
      assert.deepEqual([removed, namesIn(root)], [1, [".out.lock"]]);
      assert.throws(() => lockOutput(target, "out"), {
        name: "BadInputError",
        message: 'Cannot write "out": another run is writing to it: ' +
          "wait until it has ended, or give another path",
      });
      // What another run has made anew is not this one's to remove.
      Deno.removeSync(join(root, ".out.lock"));
      const other = lockOutput(target, "out");
      lock.release();
      assert.deepEqual(namesIn(root), [".out.lock"]);
      other.release();
      assert.deepEqual(namesIn(root), []);
    } finally {
      disk.openSync = openSync;
    }
  });
});

Deno.test("quantizeModel() refuses an output that another call writes to", async () => {
  await withFiles(smallModel(), async (root) => {
    const [model, out] = [join(root, "model"), join(root, "out")];
    const calls = [1, 2].map(() => quantizeModel(model, out, DEFAULT_SETTINGS));
    const results = await Promise.allSettled(calls);
    assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const lost = results.find((result) => result.status === "rejected")!;
    assert.equal(`error: ${lost.reason.message}`, busy(out));
    assert.deepEqual(namesIn(root), ["model", "out"]);
  });
});

for (
  const [what, make] of [
    ["a link", (path: string) => Deno.symlinkSync("precious", path)],
    ["a directory", (path: string) => Deno.mkdirSync(path)],
    [
      "a FIFO",
      (path: string) => void new Deno.Command("mkfifo", { args: [path] }).outputSync(),
    ],
  ] as const
) {
  Deno.test(`main() writes to no lock that is ${what}`, async () => {
    await withFiles({ ...smallModel(), precious: "mine" }, async (root) => {
      make(join(root, ".out.lock"));
      const outcome = await runMain(...flags(root));
      assert.deepEqual([outcome.code, lastLine(outcome)], [
        2,
        `error: Cannot write "${root}/out": its lock "${root}/.out.lock" is not a regular file: remove it`,
      ]);
      assert.deepEqual(namesIn(root), [".out.lock", "model", "precious"]);
      assert.equal(Deno.readTextFileSync(join(root, "precious")), "mine");
    });
  });
}

Deno.test("main() moves nothing that a note in a lock names and no run has made", async () => {
  const run = "0123abcd-4567cdef";
  const note = (root: string) =>
    `${
      JSON.stringify({ run, files: [{ target: join(root, "precious"), standing: "nothing" }] })
    }\n`;
  await withFiles({ ...smallModel(), precious: "mine", other: "x" }, async (root) => {
    Deno.writeTextFileSync(join(root, ".out.lock"), note(root));
    // A name that a run would have chosen, for something that is in use by now.
    Deno.writeTextFileSync(join(root, `.precious.tmp-${run}`), "planted");
    const { code, stderr } = await runMain(...flags(root));
    assert.equal(code, 0, stderr);
    assert.equal(Deno.readTextFileSync(join(root, "precious")), "mine");
  });
});

const RUN = "89abcdef-01234567";

Deno.test("main() names and removes what killed runs have left, and nothing that is named otherwise", async () => {
  const others = [
    ".out.tmp-1-2",
    ".out.tmp-89abcdef-0123456x",
    ".out2.tmp-89abcdef-01234567",
    "tmp",
  ];
  const files = Object.fromEntries(others.map((name) => [name, "mine"]));
  const left = {
    [`.out.tmp-${RUN}/x`]: "",
    [`.r.json.tmp-${RUN}`]: "",
    [`.r.json.old-${RUN}`]: "",
  };
  await withFiles({ ...smallModel(), ...files, ...left, "r.json": "" }, async (root) => {
    const { code, stderr } = await withDevice(0xfe00, () => runMain(...flags(root)));
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(root), [...others, "model", "out", "r.json", "r.log"].sort());
    for (const name of [`.out.tmp-${RUN}`, `.r.json.tmp-${RUN}`, `.r.json.old-${RUN}`]) {
      const line = `Removed "${join(root, name)}", left by a run that was stopped\n`;
      assert.ok(stderr.includes(line), stderr);
      assert.ok(Deno.readTextFileSync(join(root, "r.log")).includes(line));
    }
  });
});

/** Runs while files seem to be on another file system, and perhaps to have been written `age` days ago. */
async function withDevice<T>(dev: number, run: () => Promise<T>, age = 0): Promise<T> {
  const { lstatSync } = disk;
  disk.lstatSync = (path) => {
    const info = lstatSync(path);
    const old = new Date(Date.now() - age * 24 * 3600 * 1000);
    const times = age > 0 ? { mtime: old, ctime: old } : {};
    return path.includes(RUN) ? { ...info, dev, ...times } : info;
  };
  try {
    return await run();
  } finally {
    disk.lstatSync = lstatSync;
  }
}

Deno.test("main() leaves alone what a run of another machine may be writing, until it has been silent", async () => {
  // A lock that was left makes a run look for leftovers before it checks its output, too.
  const left = { [`.out.tmp-${RUN}/x`]: "", ".out.lock": "" };
  await withFiles({ ...smallModel(), ...left }, async (root) => {
    const name = join(root, `.out.tmp-${RUN}`);
    // Device numbers without a major part are of networks and containers.
    const young = await withDevice(0x2a, () => runMain(...flags(root)), 0.9);
    assert.equal(young.code, 0, young.stderr);
    const line =
      `Left "${name}" alone, to which a run on another system, or before a restart, may be ` +
      "writing: remove it if that run has ended\n";
    assert.equal(young.stderr.split(line).length, 2, young.stderr);
    assert.ok(namesIn(root).includes(`.out.tmp-${RUN}`));
    const told: string[] = [];
    Deno.writeTextFileSync(join(root, ".out.lock"), "");
    await withDevice(0x2a, async () => {
      const settings = { ...DEFAULT_SETTINGS, groupSize: 32, overwrite: true };
      await quantizeModel(join(root, "model"), join(root, "out"), settings, {
        onLog: (text) => told.push(`${text}\n`),
      });
      return young;
    }, 0.9);
    assert.equal(told.filter((text) => text === line).length, 1, told.join(""));
    const silent = await withDevice(0x2a, () => runMain(...flags(root), "--overwrite"), 1.1);
    assert.equal(silent.code, 0, silent.stderr);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});

Deno.test("main() removes nothing where the file system keeps no locks", async () => {
  await withFiles({ ...smallModel(), [`.out.tmp-${RUN}/x`]: "" }, async (root) => {
    const { openSync } = disk;
    disk.openSync = (path, how) => ({
      ...openSync(path, how),
      tryLockSync: () => {
        throw new Error("Function not implemented");
      },
    });
    try {
      const { code, stderr } = await runMain(...flags(root));
      assert.equal(code, 0, stderr);
    } finally {
      disk.openSync = openSync;
    }
    assert.deepEqual(namesIn(root), [`.out.tmp-${RUN}`, "model", "out", "r.json", "r.log"]);
  });
});

Deno.test("main() puts an output back that a run had moved aside, and does not replace it unasked", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await runMain(...flags(root))).code, 0);
    const before = contentOf(join(root, "out"));
    Deno.renameSync(join(root, "out"), join(root, `.out.old-${RUN}`));
    Deno.writeTextFileSync(join(root, ".out.lock"), "");
    const outcome = await withDevice(0xfe00, () => runMain(...flags(root)));
    assert.equal(outcome.code, 2);
    assert.ok(
      outcome.stderr.includes(
        `Put "${join(root, "out")}" back, which an earlier run had moved aside\n`,
      ),
      outcome.stderr,
    );
    assert.match(lastLine(outcome)!, /: it exists and is not empty: give another, or --overwrite/);
    assert.deepEqual(contentOf(join(root, "out")), before);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});

Deno.test("main() removes no directory that has taken the place of an earlier output", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await runMain(...flags(root))).code, 0);
    const moved: string[] = [];
    const restore = interceptCalls(({ name, path }) => {
      if (name.startsWith("rename")) moved.push(path);
    });
    const outcome = await runWhile(root, () => {
      Deno.renameSync(join(root, "out"), join(root, "kept"));
      Deno.mkdirSync(join(root, "out"));
      Deno.writeTextFileSync(join(root, "out/file"), "mine");
    }, "--overwrite");
    restore();
    assert.deepEqual(moved, []);
    assert.deepEqual([outcome.code, lastLine(outcome)], [
      2,
      `error: Cannot write "${root}/out": it holds no time_groups.isotherm, ` +
      "so Isotherm did not write it: remove it yourself",
    ]);
    assert.deepEqual(namesIn(root), ["kept", "model", "out", "r.json", "r.log"]);
    assert.equal(Deno.readTextFileSync(join(root, "out/file")), "mine");
  });
});

Deno.test("main() replaces no report that was written during the run", async () => {
  await withFiles(smallModel(), async (root) => {
    const report = join(root, "r.json");
    const outcome = await runWhile(root, () => Deno.writeTextFileSync(report, "mine"));
    assert.deepEqual([outcome.code, lastLine(outcome)], [
      2,
      `error: Cannot write "${report}": it has changed since the run began: give another path`,
    ]);
    assert.deepEqual(namesIn(root), ["model", "r.json"]);
    assert.equal(Deno.readTextFileSync(report), "mine");
  });
});

Deno.test("discard() takes back what it placed, and nothing that was placed there later", async () => {
  await withFiles({ file: "old" }, async (root) => {
    const [out, file] = [join(root, "out"), join(root, "file")];
    const pending = [pendingDirectory(out), pendingFile(file, undefined)];
    Deno.writeTextFileSync(pending[1]!.path, "new");
    for (const one of pending) one.place();
    assert.equal(Deno.readTextFileSync(file), "new");
    Deno.renameSync(out, join(root, "moved"));
    Deno.mkdirSync(out);
    Deno.writeTextFileSync(join(out, "x"), "of another run");
    for (const one of pending) await one.discard();
    assert.equal(Deno.readTextFileSync(file), "old");
    assert.equal(Deno.readTextFileSync(join(out, "x")), "of another run");
    assert.deepEqual(namesIn(root), ["file", "moved", "out"]);
  });
});

Deno.test("discard() says where the earlier file is when another has been put in its place", async () => {
  await withFiles({ file: "old" }, async (root) => {
    const file = join(root, "file");
    const pending = pendingFile(file, undefined);
    Deno.writeTextFileSync(pending.path, "new");
    pending.place();
    Deno.writeTextFileSync(join(root, "other"), "of another run");
    Deno.renameSync(join(root, "other"), file);
    const old = `.file.old-${pending.run}`;
    await assert.rejects(pending.discard(), {
      name: "BadInputError",
      message: `Cannot put back "${file}": something else has been put there: ` +
        `what was there before is now "${join(root, old)}"`,
    });
    assert.deepEqual(namesIn(root), [old, "file"]);
    assert.equal(Deno.readTextFileSync(file), "of another run");
    assert.equal(Deno.readTextFileSync(join(root, old)), "old");
  });
});

Deno.test("main() puts a directory back that was put in place of the output at the last moment", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await runMain(...flags(root))).code, 0);
    const out = join(root, "out");
    const { renameSync } = disk;
    let swapped = false;
    disk.renameSync = (from, to) => {
      if (from === out && !swapped) {
        swapped = true;
        Deno.renameSync(out, join(root, "kept"));
        Deno.mkdirSync(out);
        Deno.writeTextFileSync(join(out, "file"), "mine");
      }
      renameSync(from, to);
    };
    try {
      const outcome = await runMain(...flags(root), "--overwrite");
      assert.equal(outcome.code, 2);
      assert.match(lastLine(outcome)!, /: it holds no time_groups\.isotherm, so Isotherm did not/);
    } finally {
      disk.renameSync = renameSync;
    }
    assert.deepEqual([swapped, namesIn(root)], [true, ["kept", "model", "out", "r.json", "r.log"]]);
    assert.deepEqual(namesIn(out), ["file"]);
  });
});

Deno.test("main() does not replace, unasked, what another run has placed before it had the lock", async () => {
  await withFiles(smallModel(), async (root) => {
    assert.equal((await runMain(...flags(root), "--bit-width", "8")).code, 0);
    const [out, ready] = [join(root, "out"), join(root, "ready")];
    Deno.renameSync(out, ready);
    const before = contentOf(ready);
    const { openSync } = disk;
    disk.openSync = (path, how) => {
      // The other run ends between this one's check and its lock.
      if (path.endsWith(".out.lock") && namesIn(root).includes("ready")) {
        Deno.renameSync(ready, out);
      }
      return openSync(path, how);
    };
    try {
      const outcome = await runMain(...flags(root, "out", "other.json"));
      assert.equal(outcome.code, 2);
      assert.match(
        lastLine(outcome)!,
        /: it exists and is not empty: give another, or --overwrite/,
      );
      assert.equal(outcome.stderr.includes("Quantizing"), false);
    } finally {
      disk.openSync = openSync;
    }
    assert.deepEqual(contentOf(out), before);
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});
