/** Several runs in one process, and the files that backends hold open. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { openFiles } from "../lib/jobs/open_files.ts";
import {
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  verifyCheckpoint,
} from "../mod.ts";
import { contentOf } from "./directories.ts";
import { interceptCalls } from "./fail_calls.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { cliCommand } from "./run_cli.ts";

/** A model of several tiles of weights, others with each seed. */
function model(seed: number): Uint8Array<ArrayBuffer> {
  return encodeFile([
    matrix("a.fc.weight", 600, 1024, noise(seed), "BF16"),
    matrix("b.fc.weight", 96, 256, noise(seed + 1), "F32"),
  ]);
}

const SETTINGS: Partial<QuantizeSettings>[] = [
  { granularity: "slice", backend: "wasm", bits: 4 },
  { granularity: "slice", backend: "wasm", bits: 2, phase: "optimize" },
  { granularity: "slice", backend: "reference", bits: 4 },
  { granularity: "slice", backend: "reference", bits: 2, phase: "smooth" },
  { backend: "wasm", bits: 4 },
  { backend: "wasm", bits: 2, phase: "optimize" },
  { backend: "reference", bits: 2, phase: "smooth" },
];

Deno.test("quantizeModel() gives the same bytes and figures when several runs go on at once", async () => {
  const files = { "m1/model.safetensors": model(1), "m2/model.safetensors": model(11) };
  await withFiles(files, async (root) => {
    const run = async (name: string, output: string, settings: Partial<QuantizeSettings>) => {
      const out = join(root, output);
      const all = { ...DEFAULT_SETTINGS, ...settings };
      const { quantization_time_s: _, ...report } = await quantizeModel(join(root, name), out, all);
      return { report, content: contentOf(out) };
    };
    for (const [i, settings] of SETTINGS.entries()) {
      const alone = [];
      for (const name of ["m1", "m2"]) alone.push(await run(name, `alone-${i}-${name}`, settings));
      const together = await Promise.all(
        ["m1", "m2"].map((name) => run(name, `together-${i}-${name}`, settings)),
      );
      assert.deepEqual(together, alone, JSON.stringify(settings));
      assert.notDeepEqual(alone[0]!.content, alone[1]!.content);
    }
    const { sqnr_db } = await verifyCheckpoint(join(root, "together-0-m1"), join(root, "m1"));
    assert.ok(sqnr_db! > 15, `${sqnr_db} dB`);
  });
});

Deno.test("the command line handles more shards than it may have files open", async () => {
  const count = 300;
  const names = Array.from({ length: count }, (_, i) => `model-${i}.safetensors`);
  const files: Record<string, Uint8Array | string> = Object.fromEntries(
    names.map((name, i) => [
      `model/${name}`,
      encodeFile([matrix(`blocks.${i}.fc.weight`, 4, 16, noise(i))]),
    ]),
  );
  files["model/model.safetensors.index.json"] = JSON.stringify({
    metadata: {},
    weight_map: Object.fromEntries(names.map((name, i) => [`blocks.${i}.fc.weight`, name])),
  });
  await withFiles(files, async (root) => {
    const limited = async (...argv: string[]) => {
      const { code, stderr } = await new Deno.Command("bash", {
        args: ["-c", 'ulimit -n 128; exec "$@"', "bash", ...cliCommand(argv)],
        cwd: root,
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    };
    await limited("--model", "model", "--output", "out", "--report", "r.json");
    await limited("verify", "out", "--against", "model", "--report", "r.json");
    assert.equal(contentOf(join(root, "out")).size, count + 3);
  });
});

/** Files below a directory that this process has open; asked from outside, since Deno hides them. */
function openIn(directory: string): string[] {
  const { stdout } = new Deno.Command("find", {
    args: [`/proc/${Deno.pid}/fd`, "-lname", `${directory}/*`, "-printf", "%l\\n"],
  }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "").sort();
}

const ON_LINUX = Deno.build.os === "linux";

Deno.test({
  name: "openFiles() keeps the last few files open, and none once it is closed",
  ignore: !ON_LINUX,
  async fn() {
    const names = ["a", "b", "c", "d", "e", "f"];
    const content = Object.fromEntries(names.map((name) => [name, name]));
    await withFiles(content, async (root) => {
      for (const waits of [true, false]) {
        const files = openFiles(waits);
        const place = (name: string) => ({ path: join(root, name), label: name, begin: 0 });
        const byte = new Uint8Array(1);
        for (const name of [...names, "c", "a"]) {
          await files.read(place(name), 0, byte);
          assert.equal(byte[0], name.charCodeAt(0));
        }
        assert.deepEqual(openIn(root), ["a", "c"].map((name) => join(root, name)));
        await files.write(place("b"), 0, new TextEncoder().encode("b"));
        assert.equal(openIn(root).length, 3);
        files.close();
        assert.deepEqual(openIn(root), []);
        await assert.rejects(async () => await files.read(place("a"), 0, byte), /is closed/);
        assert.deepEqual(openIn(root), []);
      }
    });
  },
});

Deno.test("openFiles() keeps the main thread for small pieces alone, and not for long", () =>
  withFiles({ "a": new Uint8Array(2 ** 17), "b": "" }, async (root) => {
    const now = performance.now;
    let clock = 0;
    performance.now = () => clock;
    const files = openFiles(false);
    try {
      const [a, b] = ["a", "b"].map((name) => ({ path: join(root, name), label: name, begin: 0 }));
      const [small, large] = [new Uint8Array(2 ** 16), new Uint8Array(2 ** 16 + 1)];
      assert.equal(files.read(a!, 0, small), undefined);
      assert.equal(files.write(b!, 0, small), undefined);
      // Pieces that another thread has are waited for, since a file has one position.
      const first = files.read(a!, 0, large);
      const second = files.write(b!, 0, small);
      assert.ok(first instanceof Promise && second instanceof Promise);
      await Promise.all([first, second]);
      assert.equal(files.read(a!, 0, small), undefined);
      clock += 10;
      const late = files.read(a!, 0, small);
      assert.ok(late instanceof Promise);
      await late;
      assert.equal(files.read(a!, 0, small), undefined);
      const worker = openFiles(true);
      assert.equal(worker.read(a!, 0, large), undefined);
      worker.close();
    } finally {
      performance.now = now;
      files.close();
    }
  }));

Deno.test("openFiles() makes small calls here that waited for one that another thread had", () =>
  withFiles({ "a": Uint8Array.from({ length: 2 ** 17 }, (_, i) => i % 251) }, async (root) => {
    const now = performance.now;
    let clock = 0;
    performance.now = () => clock;
    const calls: string[] = [];
    const restore = interceptCalls(({ name }) => {
      if (name.startsWith("file.read")) calls.push(name);
    });
    const files = openFiles(false);
    try {
      const a = { path: join(root, "a"), label: "a", begin: 0 };
      const outs = Array.from({ length: 4 }, () => new Uint8Array(5));
      const read = (indices: number[]) =>
        Promise.all(indices.map((i) => files.read(a, 100 * i, outs[i]!)));
      clock += 10;
      await read([0, 1, 2]);
      assert.deepEqual(calls, ["file.read", "file.readSync", "file.readSync"]);
      await read([3]);
      assert.equal(calls.at(-1), "file.readSync");
      assert.deepEqual(outs.map(([first]) => first), [0, 100, 200, 300 % 251]);
      // That one looked at its other events, but the time is up again.
      clock += 10;
      const large = files.read(a, 0, new Uint8Array(2 ** 16 + 1));
      clock += 10;
      await Promise.all([large, read([0])]);
      assert.deepEqual(calls.slice(4), ["file.read", "file.readSync"]);
    } finally {
      performance.now = now;
      restore();
      files.close();
    }
  }));

Deno.test({
  name: "createInline() opens nothing again when it is closed with jobs under way",
  ignore: !ON_LINUX,
  async fn() {
    await withFiles({ "in": new Uint8Array(5 * 2 ** 20), "out": "" }, async (root) => {
      const place = (name: string) => ({ path: join(root, name), label: name, begin: 0 });
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
      const backend = createInline("reference", "", createReferenceKernels(), () => begin());
      const job = {
        verb: "copy",
        source: place("in"),
        target: place("out"),
        pieces: [{ from: 0, to: 0, byteLength: 5 * 2 ** 20 }],
      } as const;
      const jobs = [backend.run(job), backend.run(job)];
      await begun;
      backend.close();
      for (const { status } of await Promise.allSettled(jobs)) assert.equal(status, "rejected");
      assert.deepEqual(openIn(root), []);
    });
  },
});
