/**
 * An output on a mount point is written into it. The mount is one of the file interface alone, since a test may
 * not mount anything: the directory above is on another device, and nothing can be moved across or onto it.
 */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { contentOf, namesIn, treeOf, withSmallModel } from "./directories.ts";
import { type Outcome, runIn, runMain } from "./run_cli.ts";

const systemError = (message: string, code: string) => Object.assign(new Error(message), { code });

/** A mount point, and which of the renames on it fails: the first is 1. */
interface Mount {
  path: string;
  failing?: number;
}

/** Runs something while a directory is a mount point; gives the paths that were renamed to, or were to be. */
async function whileMounted(
  { path, failing }: Mount,
  action: () => Promise<void>,
): Promise<string[]> {
  const original = { ...disk };
  const renamed: string[] = [];
  const isOn = (one: string) => one === path || one.startsWith(`${path}/`);
  const check = (from: string, to: string) => {
    renamed.push(to);
    if (from === path || to === path) throw systemError("Device or resource busy", "EBUSY");
    if (isOn(from) !== isOn(to)) throw systemError("Invalid cross-device link", "EXDEV");
    if (renamed.length === failing) throw systemError("Input/output error", "EIO");
  };
  Object.assign(disk, {
    statSync: (one: string) => ({
      ...original.statSync(one),
      ...one === dirname(path) && { dev: 77 },
    }),
    renameSync: (from: string, to: string) => {
      check(from, to);
      original.renameSync(from, to);
    },
    rename: async (from: string, to: string) => {
      check(from, to);
      await original.rename(from, to);
    },
  });
  try {
    await action();
  } finally {
    Object.assign(disk, original);
  }
  return renamed;
}

const WRITTEN = ["config.json", "model.safetensors", "time_groups.isotherm"];

/** The small model has one file that goes along. */
const FILES = [...WRITTEN, "tokenizer_config.json"];

Deno.test("main() writes into an empty mount point and leaves what the file system keeps there", async () => {
  await withSmallModel(async ({ root, model, output, run }) => {
    Deno.mkdirSync(join(output, "lost+found"), { recursive: true });
    const { ino } = Deno.statSync(output);
    const renamed = await whileMounted({ path: output }, async () => {
      const { code, stderr } = await runMain(...run);
      assert.equal(code, 0, stderr);
    });
    // A directory without its mark is no output yet.
    const inside = renamed.filter((path) => dirname(path) === output);
    assert.equal(inside.length, FILES.length);
    assert.equal(inside.at(-1), join(output, "time_groups.isotherm"));
    assert.deepEqual(namesIn(output), [...FILES, "lost+found"].sort());
    assert.equal(Deno.statSync(output).ino, ino);
    assert.deepEqual(namesIn(root), ["model", "out", "report.json", "report.log"]);
    assert.equal((await runMain("verify", output, "--against", model)).code, 0);
  });
});

Deno.test("main() refuses a mount point with an output, and replaces it when told to", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    Deno.mkdirSync(output);
    await whileMounted({ path: output }, async () => {
      assert.equal((await runMain(...run)).code, 0);
      const before = contentOf(root);
      const refused = await runMain(...run);
      assert.equal(
        refused.stderr.split("\n").at(-2),
        `error: Cannot write the output "${output}": it exists and is not empty: ` +
          "give another, or --overwrite to replace it",
      );
      assert.deepEqual(contentOf(root), before);
      const { code, stderr } = await runMain(...run, "--overwrite", "--bit-width", "8");
      assert.equal(code, 0, stderr);
    });
    assert.deepEqual(namesIn(output), FILES);
    assert.ok(Deno.readTextFileSync(join(output, "config.json")).includes('"num_bits": 8'));
  });
});

Deno.test("main() puts a report where it belongs on a mount point", async () => {
  await withSmallModel(async ({ model, output }) => {
    Deno.mkdirSync(output);
    const report = join(output, "reports/r.json");
    await whileMounted({ path: output }, async () => {
      const { code, stderr } = await runMain(
        ...["--model", model, "--output", output, "--report", report],
      );
      assert.equal(code, 0, stderr);
    });
    assert.deepEqual(
      treeOf(output),
      [...FILES, "reports/", "reports/r.json", "reports/r.log"].sort(),
    );
  });
});

Deno.test("main() leaves the earlier output on a mount point or the new one when any rename fails", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    Deno.mkdirSync(output);
    await whileMounted({ path: output }, async () => assert.equal((await runMain(...run)).code, 0));
    const old = contentOf(root);
    const again = [...run, "--overwrite", "--bit-width", "8"];
    for (let failing = 1;; failing++) {
      let outcome: Outcome = { code: 0, stdout: "", stderr: "" };
      const made = await whileMounted({ path: output, failing }, async () => {
        outcome = await runMain(...again);
      });
      if (outcome.code === 0) {
        // Four names each, the report, and the log.
        assert.ok(failing > 2 * FILES.length + 2, `${made.length} renames`);
        assert.deepEqual(namesIn(output), FILES);
        break;
      }
      assert.equal(outcome.code, 2);
      assert.match(
        outcome.stderr.split("\n").at(-2)!,
        /^error: Cannot write "[^"]+": the device failed to read or write$/,
      );
      assert.deepEqual(contentOf(root), old, `rename ${failing}`);
    }
  });
});

for (
  const [what, earlier, message] of [
    [
      "was empty",
      false,
      'Cannot write "OUT": something has appeared there since the run began: remove it',
    ],
    [
      "held an output that is gone",
      true,
      'Cannot write "OUT": it holds no time_groups.isotherm, so Isotherm did not write it: ' +
      "remove it yourself",
    ],
  ] as const
) {
  Deno.test(`main() leaves a mount point alone that ${what} and gets a file of the user's meanwhile`, async () => {
    await withSmallModel(async ({ root, output, run }) => {
      Deno.mkdirSync(output);
      if (earlier) {
        await whileMounted({ path: output }, async () => {
          assert.equal((await runMain(...run)).code, 0);
        });
      }
      let stderr = "";
      const onStarted = (text: string) => {
        stderr += text;
        if (!text.startsWith("Quantizing")) return;
        if (earlier) { for (const name of FILES) Deno.removeSync(join(output, name)); }
        Deno.writeTextFileSync(join(output, "mine"), "mine");
      };
      await whileMounted({ path: output }, async () => {
        const flags = earlier ? ["--overwrite"] : [];
        assert.equal((await runIn({ stderr: onStarted }, ...run, ...flags)).code, 2);
      });
      assert.equal(stderr.split("\n").at(-2), `error: ${message.replace("OUT", output)}`);
      assert.deepEqual(treeOf(output), ["mine"]);
      assert.ok(dirname(output) === root);
    });
  });
}

Deno.test("main() refuses a mount point with a user's files, though a killed run has left its own there", async () => {
  await withSmallModel(async ({ output, run }) => {
    const left = `.out.tmp-00000000-01234567`;
    Deno.mkdirSync(join(output, left), { recursive: true });
    Deno.writeTextFileSync(join(output, left, "time_groups.isotherm"), "");
    Deno.writeTextFileSync(join(output, "mine"), "mine");
    await whileMounted({ path: output }, async () => {
      const { code, stderr } = await runMain(...run, "--overwrite");
      assert.equal(code, 2);
      assert.ok(stderr.endsWith("so Isotherm did not write it: remove it yourself\n"), stderr);
      Deno.removeSync(join(output, "mine"));
      assert.equal((await runMain(...run)).code, 0);
    });
    assert.deepEqual(namesIn(output).filter((name) => name !== left), FILES);
  });
});
