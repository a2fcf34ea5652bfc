/** Small tensors that are copied together. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type CopiedPiece, copyBytes } from "../lib/jobs/copy_bytes.ts";
import { openFiles } from "../lib/jobs/open_files.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { DEFAULT_SETTINGS, quantizeModel, verifyCheckpoint } from "../mod.ts";
import { interceptCalls } from "./fail_calls.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { contentOf } from "./directories.ts";

const SOURCE = Uint8Array.from({ length: 3 * 2 ** 20 }, (_, i) => (i * 7 + (i >> 8)) % 251);
const TARGET_BYTES = SOURCE.length + 64;

/** Copies pieces; gives the target, and the lengths of what was read and written. */
async function copy(pieces: CopiedPiece[]) {
  const calls = { read: [] as number[], written: [] as number[], progress: 0 };
  let target = new Uint8Array();
  await withFiles({ a: SOURCE, b: new Uint8Array(TARGET_BYTES) }, async (root) => {
    const restore = interceptCalls(({ name, bytes }) => {
      if (name === "file.readSync") calls.read.push(bytes!.length);
      if (name === "file.writeSync") calls.written.push(bytes!.length);
    });
    const files = openFiles(true);
    try {
      const [source, goal] = ["a", "b"].map((name) => ({
        path: join(root, name),
        label: name,
        begin: 16,
      }));
      await copyBytes({ verb: "copy", source: source!, target: goal!, pieces }, {
        kernels: createReferenceKernels(),
        files,
        onBytes: (bytes) => void (calls.progress += bytes),
      });
    } finally {
      files.close();
      restore();
    }
    target = Deno.readFileSync(join(root, "b"));
  });
  const expected = new Uint8Array(TARGET_BYTES);
  for (const { from, to, byteLength } of pieces) {
    expected.set(SOURCE.subarray(16 + from, 16 + from + byteLength), 16 + to);
  }
  assert.deepEqual(target, expected);
  return calls;
}

Deno.test("copyBytes() reads and writes at once what lies side by side", async () => {
  const inOrder = [0, 1, 2].map((i) => ({ from: 100 * i, to: 500 + 100 * i, byteLength: 100 }));
  assert.deepEqual(await copy(inOrder), { read: [300], written: [300], progress: 300 });
  const turned = [0, 1, 2].map((i) => ({ from: 100 * i, to: 900 - 100 * i, byteLength: 100 }));
  assert.deepEqual(await copy(turned), { read: [300], written: [300], progress: 300 });
  const [first, second, third] = inOrder as [CopiedPiece, CopiedPiece, CopiedPiece];
  const apart = [first, { ...second, to: 2000 }, { ...third, to: 2200 }];
  assert.deepEqual(await copy(apart), { read: [300], written: [100, 100, 100], progress: 300 });
});

Deno.test("copyBytes() leaves out what lies between its pieces", async () => {
  const pieces = [{ from: 8, to: 40, byteLength: 8 }, { from: 24, to: 48, byteLength: 8 }];
  assert.deepEqual(await copy(pieces), { read: [8, 8], written: [8, 8], progress: 16 });
});

Deno.test("copyBytes() holds a megabyte at a time, however long a piece is", async () => {
  const mega = 2 ** 20;
  const pieces = [
    { from: 0, to: 32, byteLength: 100 },
    { from: 100, to: 132, byteLength: 2 * mega },
  ];
  const { read, written, progress } = await copy(pieces);
  assert.deepEqual(read, [mega, mega, 100]);
  assert.deepEqual(written, [mega, mega, 100]);
  assert.equal(progress, 100 + 2 * mega);
});

Deno.test("small tensors of all shards are in the one file of a format that has no more", async () => {
  const value = noise(3);
  const vector = (name: string, first: number): TestTensor => ({
    ...matrix(name, 1, 64, (i) => value(first + i)),
    shape: [64],
  });
  const shards = [0, 1].map((shard): TestTensor[] => [
    matrix(`blocks.${shard}.fc.weight`, 64, 128, (i) => value(i + 9999 * shard)),
    ...[0, 1, 2].map((i) => vector(`blocks.${shard}.bias${i}`, 64 * (3 * shard + i))),
  ]);
  const names = shards.map((_, i) => `model-0000${i + 1}-of-00002.safetensors`);
  const weight_map = Object.fromEntries(
    shards.flatMap((tensors, i) => tensors.map(({ name }) => [name, names[i]!])),
  );
  const files = {
    ...Object.fromEntries(shards.map((tensors, i) => [`m/${names[i]}`, encodeFile(tensors)])),
    "m/model.safetensors.index.json": JSON.stringify({ metadata: {}, weight_map }),
    "m/config.json": "{}",
  };
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "m"), join(root, "out")];
    await quantizeModel(model, output, { ...DEFAULT_SETTINGS, bits: 4, format: "comfy" });
    assert.ok(contentOf(output).has("model.safetensors"));
    // It holds every tensor against the model's, byte for byte where it was copied.
    const { layers } = await verifyCheckpoint(output, model);
    assert.equal(layers.length, 2);
  });
});
