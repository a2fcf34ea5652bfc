/** Open files: each call goes where it is told to, whatever the calls before it did. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { disk } from "../lib/base/disk.ts";
import { openFiles } from "../lib/jobs/open_files.ts";
import { withFiles } from "./make_model.ts";

Deno.test("a file is read and written at any place, in any order", async () => {
  await withFiles({ "file": Uint8Array.from({ length: 12 }, (_, i) => i) }, async (root) => {
    const path = join(root, "file");
    const [writer, reader] = [disk.openSync(path, "write"), disk.openSync(path, "read")];
    const bytes = (...values: number[]) => Uint8Array.from(values);
    // One behind the other, back, ahead, and the same place once more.
    assert.equal(writer.writeSync(bytes(50, 51), 0), 2);
    assert.equal(await writer.write(bytes(52), 2), 1);
    assert.equal(writer.writeSync(bytes(60), 10), 1);
    assert.equal(await writer.write(bytes(53, 54), 4), 2);
    assert.equal(writer.writeSync(bytes(55), 4), 1);
    assert.equal(await writer.write(bytes(56), 6), 1);
    const read = async (at: number, length: number, waits: boolean) => {
      const into = new Uint8Array(length);
      const count = waits ? reader.readSync(into, at) : await reader.read(into, at);
      return [...into.subarray(0, count)];
    };
    for (const waits of [true, false]) {
      assert.deepEqual(await read(0, 4, waits), [50, 51, 52, 3]);
      assert.deepEqual(await read(4, 4, !waits), [55, 54, 56, 7]);
      assert.deepEqual(await read(2, 2, waits), [52, 3]);
      assert.deepEqual(await read(9, 9, waits), [9, 60, 11]);
      assert.deepEqual(await read(12, 3, waits), []);
      assert.deepEqual(await read(11, 1, !waits), [11]);
    }
    writer.close();
    reader.close();
  });
});

Deno.test("a file is read where it is told to after a call that failed on its way", async () => {
  await withFiles({ "file": Uint8Array.from({ length: 12 }, (_, i) => i) }, async (root) => {
    const file = disk.openSync(join(root, "file"), "read");
    const read = (at: number) => {
      const into = new Uint8Array(4);
      file.readSync(into, at);
      return [...into];
    };
    assert.deepEqual(read(0), [0, 1, 2, 3]);
    assert.throws(() => file.writeSync(Uint8Array.of(1), 8));
    assert.deepEqual(read(4), [4, 5, 6, 7]);
    await assert.rejects(file.write(Uint8Array.of(1), 2));
    assert.deepEqual(read(8), [8, 9, 10, 11]);
    file.close();
  });
});

Deno.test("openFiles() keeps the two files open that were used last", async () => {
  const names = ["a", "b", "c"];
  const files = Object.fromEntries(names.map((name) => [name, name]));
  await withFiles(files, async (root) => {
    const log: string[] = [];
    const { openSync } = disk;
    disk.openSync = (path, how) => {
      const name = path.at(-1)!;
      log.push(`open ${name}`);
      const file = openSync(path, how);
      const close = () => {
        log.push(`close ${name}`);
        file.close();
      };
      return { ...file, close };
    };
    try {
      const opened = openFiles(true);
      for (const name of ["a", "a", "b", "a", "c", "a", "b"]) {
        const into = new Uint8Array(1);
        await opened.read({ path: join(root, name), label: name, begin: 0 }, 0, into);
        assert.equal(String.fromCharCode(into[0]!), name);
      }
      opened.close();
    } finally {
      disk.openSync = openSync;
    }
    assert.deepEqual(log.slice(0, 6), [
      "open a",
      "open b",
      "open c",
      "close b",
      "open b",
      "close c",
    ]);
    assert.deepEqual(log.slice(6).sort(), ["close a", "close b"]);
  });
});
