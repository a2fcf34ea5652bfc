/** Reading bytes of a file: all of them, at any offset, or an error that says why not. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { openSource, readHeader } from "../lib/safetensors/read.ts";
import { encodeFile, matrix, withFiles } from "./make_model.ts";

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

Deno.test("openSource() reads the bytes asked for when they lie anywhere in the file", () =>
  withFiles({ x: BYTES }, (directory) => {
    const source = openSource(join(directory, "x"), "x");
    assert.equal(source.byteLength, 1000);
    for (const [offset, length] of [[0, 1000], [999, 1], [3, 500], [0, 0], [1000, 0], [7, 9]]) {
      const out = new Uint8Array(length!);
      source.readInto(offset!, out);
      assert.deepEqual(out, BYTES.slice(offset, offset! + length!));
    }
    source.close();
  }));

Deno.test("openSource() reads past 2^32 when the file is as long", () =>
  withFiles({ x: "" }, (directory) => {
    const path = join(directory, "x");
    const length = 2 ** 32 + 10;
    Deno.truncateSync(path, length);
    const file = Deno.openSync(path, { write: true });
    file.seekSync(length - 4, Deno.SeekMode.Start);
    file.writeSync(Uint8Array.of(1, 2, 3, 4));
    file.close();
    const source = openSource(path, "x");
    const out = new Uint8Array(6);
    source.readInto(length - 6, out);
    source.close();
    assert.equal(source.byteLength, length);
    assert.deepEqual([...out], [0, 0, 1, 2, 3, 4]);
  }));

// Bytes left when the file is cut after it was opened, and where the message says it ended.
for (const [left, end] of [[999, 999], [500, 500], [10, 100], [0, 100]] as const) {
  Deno.test(`openSource() refuses to read when the file is cut to ${left} bytes after opening`, () =>
    withFiles({ x: BYTES }, (directory) => {
      const path = join(directory, "x");
      const source = openSource(path, "x\x1b");
      Deno.truncateSync(path, left);
      assert.throws(() => source.readInto(100, new Uint8Array(900)), {
        name: "BadInputError",
        message: `Cannot read "x\\u{1b}": the file ended early at byte ${end}, ` +
          "1000 bytes were there when it was opened: it was cut while being read",
      });
      source.close();
    }));
}

Deno.test("readHeader() says that the file ended early when its header is cut after opening", () =>
  withFiles({ x: encodeFile([matrix("a", 2, 2, () => 1)]) }, (directory) => {
    const path = join(directory, "x");
    for (const left of [20, 4, 0]) {
      const source = openSource(path, "x");
      Deno.truncateSync(path, left);
      assert.throws(() => readHeader(source, "x"), {
        name: "BadInputError",
        message: new RegExp(`^Cannot read "x": the file ended early at byte ${left}, `),
      });
      source.close();
      Deno.writeFileSync(path, encodeFile([matrix("a", 2, 2, () => 1)]));
    }
  }));

Deno.test("readHeader() gives the tensors when the file is well-formed", () =>
  withFiles({ x: encodeFile([matrix("a", 2, 3, () => 1, "F16")]) }, (directory) => {
    const source = openSource(join(directory, "x"), "x");
    const { tensors } = readHeader(source, "x");
    source.close();
    const end = source.byteLength;
    assert.deepEqual(tensors, [{ name: "a", dtype: "F16", shape: [2, 3], begin: end - 12, end }]);
  }));

const UNREADABLE: [string, string, string][] = [
  ["does not exist", "none", "no such file or directory"],
  ["is a directory", "sub", "it is not a regular file"],
  ["has a file for a parent", "x/y", "a part of the path is not a directory"],
];

for (const [what, name, reason] of UNREADABLE) {
  Deno.test(`openSource() refuses the file when it ${what}`, () =>
    withFiles({ x: BYTES, "sub/y": "" }, (directory) => {
      assert.throws(() => openSource(join(directory, name), "shown"), {
        name: "BadInputError",
        message: `Cannot read "shown": ${reason}`,
      });
    }));
}
