/** A file system without room for an output is told of before the work. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { namesIn, withSmallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Runs something while so many bytes are free; gives the paths of which that was asked. */
async function whileFree(
  bytes: number | undefined,
  action: () => Promise<void>,
): Promise<string[]> {
  const { freeBytes } = disk;
  const asked: string[] = [];
  disk.freeBytes = (path) => {
    asked.push(path);
    return Promise.resolve(bytes);
  };
  try {
    await action();
  } finally {
    disk.freeBytes = freeBytes;
  }
  return asked;
}

/** Bytes that the output of the small model takes: its weights, and a file that goes along. */
async function bytesOf(run: string[], output: string): Promise<{ weights: number; along: number }> {
  const { code, stderr } = await runMain(...run);
  assert.equal(code, 0, stderr);
  const sizeOf = (name: string) => Deno.statSync(join(output, name)).size;
  const sizes = {
    weights: sizeOf("model.safetensors"),
    along: sizeOf("tokenizer_config.json"),
  };
  Deno.removeSync(output, { recursive: true });
  for (const name of ["report.json", "report.log"]) Deno.removeSync(join(dirname(output), name));
  return sizes;
}

Deno.test("main() refuses an output before the work when a byte of room is missing, dry or not", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    const { weights, along } = await bytesOf(run, output);
    const needed = weights + along;
    const say = (bytes: number) => `${(bytes / 100).toFixed(2)} MB`;
    const message = `error: Cannot write the output "${output}": it takes ${
      say(Math.ceil(needed / 1e4))
    }, and ${
      say(Math.floor((needed - 1) / 1e4))
    } are free there: make room, or give another --output`;
    for (const flags of [[], ["--dry-run"], ["--overwrite"]]) {
      const asked = await whileFree(needed - 1, async () => {
        const { code, stdout, stderr } = await runMain(...run, ...flags);
        assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
        assert.equal(stderr.split("\n").at(-2), message);
        assert.equal(stderr.includes("Quantizing"), false);
      });
      assert.deepEqual(asked, [root]);
      assert.deepEqual(namesIn(root), ["model"]);
    }
    // A link takes no room.
    for (const [free, flags] of [[weights, ["--link"]], [needed, []], [undefined, []]] as const) {
      await whileFree(free, async () => {
        const { code, stderr } = await runMain(...run, "--overwrite", ...flags);
        assert.equal(code, 0, stderr);
      });
    }
  });
});

Deno.test("main() shows the room that a run takes and that there is when it is dry", async () => {
  await withSmallModel(async ({ root, model, output, run }) => {
    const { weights, along } = await bytesOf(run, output);
    const needed_bytes = weights + along;
    for (
      const [free, line] of [
        [5e9, "5000.00 MB are free"],
        [undefined, "what is free is not known without --allow-sys=statfs"],
      ] as const
    ) {
      await whileFree(free, async () => {
        const json = await runMain(...run, "--dry-run", "--json");
        assert.deepEqual(JSON.parse(json.stdout).disk, { needed_bytes, free_bytes: free ?? null });
        const { stdout } = await runMain(...run, "--dry-run");
        assert.equal(
          stdout.split("\n")[2],
          `On the disk, with the files that go along: 0.00 MB, ${line}`,
        );
      });
    }
    // Nothing is known of a place that is not named.
    const asked = await whileFree(0, async () => {
      const unnamed = await runMain("--model", model, "--dry-run", "--json");
      assert.equal(JSON.parse(unnamed.stdout).disk, undefined);
      assert.equal((await runMain("inspect", model)).stdout.includes("On the disk"), false);
    });
    assert.deepEqual(asked, []);
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("quantizeModel() refuses an output before the work when there is no room", async () => {
  await withSmallModel(async ({ root, model, output }) => {
    await whileFree(0, async () => {
      await assert.rejects(quantizeModel(model, output, DEFAULT_SETTINGS), {
        name: "BadInputError",
        message: /^Cannot write the output ".*": it takes 0\.01 MB, and 0\.00 MB are free there: /,
      });
    });
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() asks for the room on a mount point of that itself", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    Deno.mkdirSync(output);
    const { statSync } = disk;
    disk.statSync = (path) => ({ ...statSync(path), ...path === root && { dev: 77 } });
    try {
      const asked = await whileFree(1e9, async () => {
        assert.equal((await runMain(...run, "--dry-run")).code, 0);
      });
      assert.deepEqual(asked, [output]);
    } finally {
      disk.statSync = statSync;
    }
  });
});

Deno.test("disk.freeBytes() knows what is free where it may ask, and nothing elsewhere", async () => {
  const script = `
    const { disk } = await import(Deno.args[0]);
    console.log(await disk.freeBytes("."), await disk.freeBytes("/proc").catch(() => "refused"));
  `;
  await withFiles({ "free.ts": script }, async (root) => {
    const module = new URL("../lib/base/disk.ts", import.meta.url).href;
    // A file system that has no blocks.
    const everything = await askAs(root, module, "--allow-all");
    assert.match(everything, Deno.build.os === "linux" ? /^\d+ undefined$/ : /^\d+ /);
    assert.equal(await askAs(root, module, "--allow-read"), "undefined undefined");
    const allowed = await askAs(root, module, "--allow-read", "--allow-sys=statfs");
    assert.match(allowed, Deno.build.os === "linux" ? /^\d+ refused$/ : /^\d+/);
  });
});

for (
  const [code, refused] of [["EIO", true], ["ENOSYS", false], ["ENOENT", false]] as const
) {
  Deno.test(`main() ${refused ? "fails" : "goes on"} when the room is asked for and the answer is ${code}`, async () => {
    await withSmallModel(async ({ output, run }) => {
      const { freeBytes } = disk;
      disk.freeBytes = () => Promise.reject(Object.assign(new Error("statfs"), { code }));
      try {
        const { code, stderr } = await runMain(...run);
        assert.equal(code, refused ? 2 : 0, stderr);
        if (!refused) return;
        const message = `Cannot write "${output}": the device failed to read or write`;
        assert.equal(stderr.split("\n").at(-2), `error: ${message}`);
      } finally {
        disk.freeBytes = freeBytes;
      }
    });
  });
}

/** Runs the script with permissions, and gives what it prints. */
async function askAs(root: string, module: string, ...permissions: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, "free.ts", module],
    cwd: root,
  }).output();
  return new TextDecoder().decode(stdout).trim();
}
