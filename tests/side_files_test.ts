/** The files that go along with a model: their modes, and what takes their place during a run. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { isSameFile } from "../lib/base/file_version.ts";
import { disk } from "../lib/base/disk.ts";
import { namesIn, smallModel } from "./directories.ts";
import { interceptCalls, systemError } from "./fail_calls.ts";
import { withFiles } from "./make_model.ts";
import { cliCommand, runIn, runMain } from "./run_cli.ts";

const flags = (root: string) => [
  ...["--model", join(root, "model"), "--output", join(root, "out")],
  ...["--report", join(root, "r.json")],
];

function makeFifo(path: string): void {
  assert.ok(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
}

Deno.test({
  name: "main() gives side files the bits that the umask leaves, and never those of another user",
  ignore: Deno.build.os === "windows", // it has no such bits
  async fn() {
    await withFiles(
      { ...smallModel(), "model/run.sh": "#", "model/notes.txt": "" },
      async (root) => {
        const modes = { "run.sh": 0o4755, "notes.txt": 0o400, "tokenizer_config.json": 0o666 };
        for (const [name, mode] of Object.entries(modes)) {
          Deno.chmodSync(join(root, "model", name), mode);
        }
        const command = cliCommand(flags(root));
        const args = ["-c", 'umask 027 && exec "$@"', "sh", ...command];
        const { code, stderr } = await new Deno.Command("sh", { args }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        const modeOf = (name: string) => Deno.statSync(join(root, "out", name)).mode! & 0o7777;
        assert.deepEqual(Object.keys(modes).map(modeOf), [0o750, 0o640, 0o640]);
      },
    );
  },
});

/** Puts something else in the place of a file. */
type Swap = (root: string, file: string) => void;

/** Puts a link in its place. */
const linkTo = (target: string): Swap => (root, file) => {
  Deno.removeSync(file);
  Deno.symlinkSync(join(root, target), file);
};

/** What takes the place of a side file when the run has begun, and what is said. */
const SWAPPED: { what: string; swap: Swap; message: string }[] = [
  {
    what: "a link out of the model",
    swap: linkTo("secret"),
    message: 'Refused to follow "sub/notes.txt": the link leaves the model directory: ' +
      "replace it with the file itself",
  },
  {
    what: "a link to another file of the model",
    swap: linkTo("model/config.json"),
    message: 'Cannot read "sub/notes.txt": it has changed since the run began: ' +
      "run again when it is complete",
  },
  {
    what: "a FIFO",
    swap: (_, file) => {
      Deno.removeSync(file);
      makeFifo(file);
    },
    message: 'Cannot read "sub/notes.txt": it is no regular file any more since the run began: ' +
      "run again when it is complete",
  },
  {
    what: "another file",
    swap: (root, file) => Deno.renameSync(join(root, "secret"), file),
    message: 'Cannot read "sub/notes.txt": it has changed since the run began: ' +
      "run again when it is complete",
  },
  {
    what: "a file in a folder that is a link by then",
    swap: (root) => {
      Deno.renameSync(join(root, "model/sub"), join(root, "moved"));
      Deno.symlinkSync(join(root, "elsewhere"), join(root, "model/sub"));
    },
    message: 'Refused to follow "sub/notes.txt": the link leaves the model directory: ' +
      "replace it with the file itself",
  },
  {
    what: "nothing",
    swap: (_, file) => Deno.removeSync(file),
    message: 'Cannot read "sub/notes.txt": it is gone since the run began: ' +
      "run again when it is complete",
  },
  {
    what: "a link to nothing",
    swap: linkTo("nowhere"),
    message:
      'Cannot follow the link "sub/notes.txt" in the model directory: no such file or directory',
  },
];

for (const { what, swap, message } of SWAPPED) {
  Deno.test(`main() refuses a side file when ${what} has taken its place`, async () => {
    const files = {
      "model/sub/notes.txt": "mine",
      secret: "SECRET",
      "elsewhere/notes.txt": "SECRET",
    };
    await withFiles({ ...smallModel(), ...files }, async (root) => {
      let stderr = "";
      const world = {
        stderr: (text: string) => {
          stderr += text;
          if (text.startsWith("Quantizing")) swap(root, join(root, "model/sub/notes.txt"));
        },
      };
      assert.equal((await runIn(world, ...flags(root))).code, 2);
      assert.equal(stderr.split("\n").at(-2), `error: ${message}`);
      const names = namesIn(root).filter((name) => name.startsWith(".") || /^(out|r\.)/.test(name));
      assert.deepEqual(names, []);
    });
  });
}

Deno.test("main() refuses a side file when it is written to while it is copied", async () => {
  await withFiles({ ...smallModel(), "model/notes.txt": "x".repeat(3_000_000) }, async (root) => {
    let reads = 0;
    const restore = interceptCalls(({ name, path }) => {
      const isOurs = name === "file.read" && path.endsWith("notes.txt");
      if (isOurs && ++reads === 2) Deno.truncateSync(path, 10);
    });
    try {
      const { code, stderr } = await runMain(...flags(root));
      assert.equal(code, 2);
      assert.equal(
        stderr.split("\n").at(-2),
        'error: Cannot read "notes.txt": it has changed since the run began: run again when it is complete',
      );
    } finally {
      restore();
    }
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() refuses a side file in one line when it cannot be written while it tells of progress", async () => {
  await withFiles({ ...smallModel(), "model/notes.txt": "x".repeat(2 ** 21) }, async (root) => {
    const restore = interceptCalls(({ name, path }) => {
      if (name === "file.write" && path.endsWith("notes.txt")) throw systemError("file.write");
    });
    let now = 0;
    try {
      // Each look at the clock takes a second, so that the event loop runs after each piece.
      const { code, stderr } = await runIn({ now: () => now += 1000 }, ...flags(root));
      assert.equal(code, 2);
      assert.equal(stderr.split("\n").at(-2), 'error: Cannot write "notes.txt": the disk is full');
    } finally {
      restore();
    }
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("main() stops while it copies a side file when its signal is aborted", async () => {
  const size = 64 * 2 ** 20;
  await withFiles(
    { ...smallModel(), "model/notes.bin.txt": new Uint8Array(size) },
    async (root) => {
      const controller = new AbortController();
      let reads = 0;
      const restore = interceptCalls(({ name, path }) => {
        if (name !== "file.read" || !path.endsWith("notes.bin.txt")) return;
        if (++reads === 3) controller.abort();
      });
      try {
        const { code, stderr } = await runIn({ signal: controller.signal }, ...flags(root));
        assert.equal(code, 130);
        assert.equal(stderr.split("\n").at(-2), "error: Interrupted: nothing was written");
      } finally {
        restore();
      }
      assert.ok(reads >= 3 && reads < 10, `${reads} reads`);
      assert.deepEqual(namesIn(root), ["model"]);
    },
  );
});

Deno.test("main() shows how far it is while it copies side files", async () => {
  await withFiles({ ...smallModel(), "model/notes.txt": "x".repeat(8 * 2 ** 20) }, async (root) => {
    let stderr = "";
    let now = 0;
    const world = {
      stderr: (text: string) => stderr += text,
      columns: 200,
      // Each look at the clock takes a second, so that every piece of work is shown.
      now: () => now += 1000,
    };
    assert.equal((await runIn(world, ...flags(root))).code, 0);
    const shares = [...stderr.matchAll(/(\d+)% [^\r]* notes\.txt/g)].map(([, share]) =>
      Number(share)
    );
    assert.ok(shares.length >= 8, stderr);
    assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
    assert.ok(shares.at(-1)! > 90 && shares.at(-1)! <= 100, `${shares}`);
  });
});

Deno.test("main() refuses to link a side file when another one has taken its place", async () => {
  await withFiles({ ...smallModel(), "model/notes.txt": "mine", other: "yours" }, async (root) => {
    let stderr = "";
    const world = {
      stderr: (text: string) => {
        stderr += text;
        const [other, notes] = ["other", "model/notes.txt"].map((name) => join(root, name));
        if (text.startsWith("Quantizing")) Deno.renameSync(other!, notes!);
      },
    };
    assert.equal((await runIn(world, ...flags(root), "--link")).code, 2);
    assert.equal(
      stderr.split("\n").at(-2),
      'error: Cannot link "notes.txt": it is another file than when the run began: run again',
    );
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test({
  name:
    "openUnfollowed() opens nothing by a link that could pass for it, and waits for nobody at a FIFO",
  ignore: Deno.build.os === "windows", // it has neither
  async fn() {
    await withFiles({ file: "0123456789" }, async (root) => {
      const [file, link, fifo] = ["file", "link", "fifo"].map((name) => join(root, name));
      Deno.symlinkSync("file", link!);
      makeFifo(fifo!);
      // Deno looks where a link leads before it opens it, unless all is allowed: then it is another file.
      const found = await disk.openUnfollowed(link!).then((opened) => {
        const info = opened.statSync();
        opened.close();
        return info;
      }, (error: Error & { code?: string }) => error);
      if (found instanceof Error) assert.equal(found.code, "ELOOP");
      else assert.ok(!isSameFile(found, Deno.lstatSync(link!)));
      const opened = await disk.openUnfollowed(fifo!);
      assert.equal(opened.statSync().isFile, false);
      opened.close();
      const plain = await disk.openUnfollowed(file!);
      const [bytes, later] = [new Uint8Array(4), new Uint8Array(4)];
      assert.deepEqual([plain.readSync(bytes, 3), await plain.read(later, 8)], [4, 2]);
      assert.deepEqual([bytes, later.slice(0, 2)].map((one) => new TextDecoder().decode(one)), [
        ...["3456", "89"],
      ]);
      const { size, isFile, ino, dev } = plain.statSync();
      const expected = Deno.statSync(file!);
      assert.deepEqual([size, isFile, ino, dev], [10, true, expected.ino, expected.dev]);
      plain.close();
    });
  },
});
