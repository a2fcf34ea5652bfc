/** What of a model changes while it is read is noticed. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { isUnchanged, versionOf } from "../lib/base/file_version.ts";
import { listModelFiles } from "../lib/model/list_model_files.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { namesIn, smallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runIn, runMain } from "./run_cli.ts";

const flags = (root: string) => [
  ...["--model", join(root, "model"), "--output", join(root, "out")],
  ...["--report", join(root, "r.json")],
];

/** Waits until what is changed now has another second than before: all that Deno tells of a ctime. */
const nextSecond = () => new Promise((resume) => setTimeout(resume, 1100));

Deno.test({
  name: "main() notices that weights were written to when their time was put back",
  ignore: Deno.build.os === "windows", // it has no ctime
  async fn() {
    await withFiles(smallModel(), async (root) => {
      await nextSecond();
      const weights = join(root, "model/model.safetensors");
      let stderr = "";
      const world = {
        stderr: (text: string) => {
          stderr += text;
          if (!text.startsWith("Quantizing")) return;
          const { atime, mtime } = Deno.statSync(weights);
          const bytes = Deno.readFileSync(weights);
          bytes[bytes.length - 1]! ^= 1;
          Deno.writeFileSync(weights, bytes);
          Deno.utimeSync(weights, atime!, mtime!);
        },
      };
      assert.equal((await runIn(world, ...flags(root))).code, 2);
      assert.equal(
        stderr.split("\n").at(-2),
        'error: Cannot read "model.safetensors": it changed while it was being read: ' +
          "run again when it is complete",
      );
      assert.deepEqual(namesIn(root), ["model"]);
    });
  },
});

Deno.test("isUnchanged() tells a change from a name given to a file", async () => {
  await withFiles({ file: "content" }, async (root) => {
    const file = join(root, "file");
    const look = () => versionOf(Deno.statSync(file));
    const before = look();
    assert.equal(isUnchanged(before, look()), true);
    await nextSecond();
    // Another run may link it meanwhile.
    Deno.linkSync(file, join(root, "name"));
    assert.notDeepEqual(look().ctime, before.ctime);
    assert.equal(isUnchanged(before, look()), true);
    Deno.writeTextFileSync(file, "CONTENT");
    Deno.utimeSync(file, before.mtime!, before.mtime!);
    Deno.removeSync(join(root, "name"));
    assert.equal(isUnchanged(before, look()), false);
    for (const change of [{ size: 1 }, { ino: 1 }, { dev: 1 }, { mtime: new Date(1) }]) {
      assert.equal(isUnchanged(before, { ...before, ...change }), false, JSON.stringify(change));
    }
  });
});

Deno.test("listModelFiles() refuses a directory whose list ends early, and one that fails", async () => {
  await withFiles(smallModel(), (root) => {
    const { readDirSync } = disk;
    const model = join(root, "model");
    let lists = 0;
    try {
      // Deno ends the list where the device fails.
      disk.readDirSync = (path) => readDirSync(path).slice(0, ++lists === 1 ? 3 : undefined);
      assertBadInput(
        () => listModelFiles(model),
        `Cannot list "${model}": 3 names were found, then 4: it changes, or the device fails: ` +
          "run again when it is complete",
      );
      disk.readDirSync = () => {
        throw Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
      };
      assertBadInput(
        () => listModelFiles(model),
        `Cannot list "${model}": the device failed to read or write`,
      );
    } finally {
      disk.readDirSync = readDirSync;
    }
    assert.equal(listModelFiles(model).versions.size, 4);
  });
});

Deno.test("main() fails when a directory cannot be put on the disk, but not where none can be", async () => {
  for (
    const [code, expected] of [["EIO", 2], ["ENOSPC", 2], ["EINVAL", 0], ["EACCES", 0]] as const
  ) {
    await withFiles(smallModel(), async (root) => {
      const { openSync } = disk;
      disk.openSync = (path, how) => ({
        ...openSync(path, how),
        syncSync() {
          if (how === "read") throw Object.assign(new Error(code), { code });
        },
      });
      try {
        const outcome = await runMain(...flags(root));
        assert.equal(outcome.code, expected, outcome.stderr);
      } finally {
        disk.openSync = openSync;
      }
      assert.deepEqual(
        namesIn(root),
        expected === 0 ? ["model", "out", "r.json", "r.log"] : ["model"],
      );
    });
  }
});
