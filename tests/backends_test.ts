/** Whole backends: slices of files in, packed rows in files out, the same bytes whoever computes. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Backend } from "../lib/jobs/backend.ts";
import { type BlockParams, DeviceError } from "../lib/compute/kernels.ts";
import { createInline } from "../lib/jobs/inline.ts";
import type { AffineParams } from "../lib/format/pack_rows.ts";
import { buildWasm, MODULES } from "../lib/compute/kernels/build_wasm.ts";
import { openBackend } from "../lib/jobs/open_backend.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { SLICE_BYTES } from "../lib/jobs/desk.ts";
import { createWebGpu, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { withFallback } from "../lib/jobs/with_fallback.ts";
import { createPool } from "../lib/jobs/worker_pool.ts";
import { BadInputError, InterruptedError } from "../lib/base/errors.ts";
import type { FilePlace } from "../lib/types.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import { withAdapter } from "./find_adapter.ts";
import { noise, withFiles } from "./make_model.ts";
import { jobOf, OPEN, silent, type TestSlice, withSlice } from "./open_slice.ts";

/** What a backend makes of a slice. */
async function outcomeOf(backend: Backend, slice: TestSlice, read: () => Uint8Array) {
  try {
    const { lo, hi, sums } = await backend.run({ verb: "quantize", ...jobOf(slice) });
    return { lo: [...lo], hi: [...hi], sums: sums[0]!, bytes: read() };
  } finally {
    backend.close();
  }
}

const SHAPES = {
  "one tile": { rows: 40, columns: 64 },
  "blocks": { rows: 40, columns: 128, blockColumns: 32 },
  "ragged columns": { rows: 33, columns: 37 },
  "rows longer than a tile": { rows: 2, columns: 2 ** 19 + 2 ** 18 },
  "more than is kept in memory": { rows: 2100, columns: SLICE_BYTES / 4096 },
};

for (const [shapeName, shape] of Object.entries(SHAPES)) {
  withAdapter.test(`every backend writes the reference's bytes for a slice of ${shapeName}`, async () => {
    await withSlice(shape, async (slice, read) => {
      const expected = await outcomeOf(await OPEN["the reference"]!(), slice, read);
      assert.ok(expected.bytes.subarray(7).some((byte) => byte !== 0));
      assert.deepEqual([...expected.bytes.subarray(0, 7)], [0, 0, 0, 0, 0, 0, 0]);
      for (const [name, open] of Object.entries(OPEN)) {
        Deno.writeFileSync(slice.target.path, new Uint8Array(expected.bytes.length));
        const found = await outcomeOf(await open(), slice, read);
        assert.deepEqual(found.lo, expected.lo, name);
        assert.deepEqual(found.hi, expected.hi, name);
        const different = expected.bytes.findIndex((byte, i) => byte !== found.bytes[i]);
        assert.equal(different, -1, `${name}: byte ${different}`);
        for (const key of ["signal", "decoded", "error"] as const) {
          const distance = Math.abs(found.sums[key] - expected.sums[key]);
          assert.ok(distance <= 1e-6 * expected.sums[key], `${name} ${key}`);
        }
      }
    });
  });
}

withAdapter.test("every backend measures and encodes in two steps what it quantizes in one", async () => {
  await withSlice({ rows: 20, columns: 96, blockColumns: 48 }, async (slice, read) => {
    for (const [name, open] of Object.entries(OPEN)) {
      const { lo, hi } = await outcomeOf(await open(), slice, read);
      const backend = await open();
      const measured = await backend.run({ verb: "measure", slice });
      assert.deepEqual([[...measured.lo], [...measured.hi]], [lo, hi], name);
      const params = { scale: Float32Array.of(0.25, 0.5), zero_point: Uint8Array.of(8, 3) };
      const [sums] = await backend.run({ verb: "encode", ...jobOf(slice), params });
      backend.close();
      assert.ok(sums!.signal > 0, name);
      const [first] = read().subarray(7);
      const [x, y] = [noise(21)(0), noise(21)(1)].map((v) => Math.round(v / 0.25) + 8);
      assert.equal(first, x! | (y! << 4), name);
    }
  });
});

withAdapter.test("every backend leaves a slice with an all-zero block or a NaN unwritten", async () => {
  await withSlice({ rows: 4, columns: 64, blockColumns: 32 }, async (slice, read) => {
    const file = Deno.readFileSync(slice.source.path);
    const change = (word: number, from: number, to: number) => {
      const bytes = file.slice();
      for (let row = 0; row < 4; row++) {
        for (let i = from; i < to; i++) {
          bytes.set([word & 255, word >> 8], 10 + (row * 64 + i) * 2);
        }
      }
      Deno.writeFileSync(slice.source.path, bytes);
    };
    for (const [name, open] of Object.entries(OPEN)) {
      for (const [word, from, to] of [[0, 32, 64], [0x7fc0, 5, 6], [0x7f00, 40, 41]] as const) {
        change(word, from, to);
        const before = read();
        const backend = await open();
        const { sums } = await backend.run({ verb: "quantize", ...jobOf(slice) });
        backend.close();
        assert.deepEqual(sums, [undefined], `${name} ${word}`);
        assert.deepEqual(read(), before, `${name} ${word}`);
      }
    }
  });
});

withAdapter.test("every backend copies bytes at any offset", async () => {
  await withSlice({ rows: 64, columns: 64 }, async ({ source, target }, read) => {
    for (const [name, open] of Object.entries(OPEN)) {
      const backend = await open();
      Deno.writeFileSync(target.path, new Uint8Array(2055));
      await backend.run({
        verb: "copy",
        source: { ...source, begin: 3 },
        target,
        pieces: [{ from: 10, to: 0, byteLength: 1000 }, { from: 1010, to: 1000, byteLength: 1 }],
      });
      backend.close();
      const bytes = read();
      assert.deepEqual(
        bytes.subarray(7, 1008),
        Deno.readFileSync(source.path).subarray(13, 1014),
        name,
      );
      assert.ok(bytes.subarray(1008).every((byte) => byte === 0), name);
    }
  });
});

withAdapter.test("every backend copies pieces in any order, and those longer than it takes at a time", async () => {
  await withFiles(
    { "in": Uint8Array.from({ length: 3e6 }, (_, i) => i * 7 + i / 251) },
    async (root) => {
      const [source, target] = ["in", "out"].map((name) => ({
        path: join(root, name),
        label: name,
        begin: 1,
      })) as [FilePlace, FilePlace];
      const pieces = [
        { from: 0, to: 2_500_000, byteLength: 3 },
        { from: 3, to: 5, byteLength: 2_200_000 },
        { from: 2_200_003, to: 2, byteLength: 3 },
        { from: 2_200_006, to: 9, byteLength: 0 },
        { from: 2_999_998, to: 2_500_003, byteLength: 1 },
        { from: 10, to: 2_400_000, byteLength: 7 },
      ];
      const bytes = Deno.readFileSync(source.path);
      const expected = new Uint8Array(2_500_010);
      for (const { from, to, byteLength } of pieces) {
        expected.set(bytes.subarray(from + 1, from + 1 + byteLength), to + 1);
      }
      for (const [name, open] of Object.entries(OPEN)) {
        const backend = await open();
        Deno.writeFileSync(target.path, new Uint8Array(expected.length));
        await backend.run({ verb: "copy", source, target, pieces });
        backend.close();
        assert.deepEqual(Deno.readFileSync(target.path), expected, name);
      }
    },
  );
});

withAdapter.test("every backend finds the first byte that differs", async () => {
  const pattern = Uint8Array.from({ length: 1003 }, (_, i) => i * 7);
  const bytes = new Uint8Array(2055);
  bytes.set(pattern, 7);
  bytes.set([1, 2, 3, 9], 2007);
  bytes.set([1, 2, 3, 8], 2027);
  await withFiles({ "in": bytes }, async (root) => {
    const place = (begin: number) => ({ path: join(root, "in"), label: "in", begin });
    for (const [name, open] of Object.entries(OPEN)) {
      const backend = await open();
      const compare = (left: number, right: number, byteLength: number) =>
        backend.run({ verb: "compare", source: place(left), other: place(right), byteLength });
      assert.equal(await compare(7, 7, 1900), -1, name);
      // 256 bytes on the pattern begins anew, and ends sooner.
      assert.equal(await compare(7, 263, 1003), 747, name);
      assert.equal(await compare(7, 263, 747), -1, name);
      assert.equal(await compare(7, 8, 9), 0, name);
      // Behind the last whole word.
      assert.deepEqual(
        [await compare(2001, 2021, 10), await compare(2001, 2021, 9)],
        [9, -1],
        name,
      );
      backend.close();
    }
  });
});

/** Parameters as codes are decoded with: value = code * scale + offset. */
function affineParams({ scale, zero_point }: BlockParams): AffineParams {
  return {
    scale: Float64Array.from(scale),
    offset: Float64Array.from(scale, (step, block) => -zero_point[block]! * step),
  };
}

withAdapter.test("every backend finds the energies of codes as they were made", async () => {
  for (const blockColumns of [32, 96]) {
    await withSlice({ rows: 20, columns: 96, blockColumns }, async (slice) => {
      const blocks = 20 * 96 / blockColumns;
      const params = {
        scale: Float32Array.from({ length: blocks }, (_, i) => 0.1 + i / 300),
        zero_point: Uint8Array.from({ length: blocks }, (_, i) => 5 + i % 5),
      };
      const job = jobOf({ ...slice, blockRows: 1 });
      for (const [name, open] of Object.entries(OPEN)) {
        const backend = await open();
        const [made] = await backend.run({ verb: "encode", ...job, params });
        const found = await backend.run({
          verb: "check",
          ...job,
          codes: job.target,
          params: affineParams(params),
        });
        backend.close();
        for (const key of ["signal", "decoded", "error"] as const) {
          assert.ok(Math.abs(found[key] - made![key]) <= 1e-6 * made![key], `${name} ${key}`);
        }
      }
    });
  }
});

withAdapter.test("every backend says that a file ended early, and does not hang", async () => {
  await withSlice({ rows: 64, columns: 64 }, async (slice) => {
    Deno.truncateSync(slice.source.path, 5000);
    for (const [name, open] of Object.entries(OPEN)) {
      const backend = await open();
      const error = await backend.run({ verb: "quantize", ...jobOf(slice) }).catch((
        error: unknown,
      ) => error);
      backend.close();
      assert.ok(error instanceof BadInputError, name);
      assert.match(error.message, /^Cannot read "in": the file ended early at byte 5000/);
    }
  });
});

withAdapter.test("every backend fails a job with an error of ours as a bug, and does not hang", async () => {
  await withSlice({ rows: 4, columns: 64 }, async (slice) => {
    for (const [name, open] of Object.entries(OPEN)) {
      const backend = await open();
      const error = await backend.run({ verb: "encode", ...jobOf(slice), params: null as never })
        .catch((error: unknown) => error);
      backend.close();
      assert.ok(error instanceof Error && !(error instanceof BadInputError), name);
    }
  });
});

Deno.test("createPool() ends every call when progress says that the run is to stop", async () => {
  await withSlice({ rows: 4200, columns: 4096 }, async (slice) => {
    const pool = createPool(2, () => {
      throw new InterruptedError("Interrupted");
    });
    const calls = [
      pool.run({ verb: "quantize", ...jobOf(slice) }),
      pool.run({ verb: "measure", slice }),
      pool.run({ verb: "measure", slice }),
    ];
    for (const call of await Promise.allSettled(calls)) {
      assert.equal(call.status, "rejected");
      assert.ok(call.status === "rejected" && call.reason instanceof InterruptedError);
    }
    pool.close();
  });
});

withAdapter.test("withFallback() goes on with wasm, with one warning and the same bytes, when the device is lost", async () => {
  await withSlice({ rows: 40, columns: 64 }, async (slice, read) => {
    const expected = await outcomeOf(await OPEN["the reference"]!(), slice, read);
    Deno.writeFileSync(slice.target.path, new Uint8Array(expected.bytes.length));
    const device = await openDevice((await probeWebGpu())!);
    const warnings: string[] = [];
    const backend = withFallback(
      createWebGpu(device, "solo", "test", silent.onBytes),
      () => openBackend("wasm", { work: 0 }, silent),
      (reason) => warnings.push(reason),
    );
    const first = backend.run({ verb: "measure", slice });
    device.destroy();
    const jobs = [
      first,
      backend.run({ verb: "quantize", ...jobOf(slice) }),
      backend.run({ verb: "measure", slice }),
    ];
    for (const { lo } of await Promise.all(jobs)) assert.deepEqual([...lo], expected.lo);
    assert.deepEqual(read(), expected.bytes);
    assert.equal(warnings.length, 1);
    assert.equal(backend.name, "wasm");
    backend.close();
  });
});

Deno.test("openBackend() starts as many workers as there is room for, when the first large job comes", async () => {
  await withSlice({ rows: 128, columns: 65 }, async (slice, read) => {
    const own = Object.getOwnPropertyDescriptor(navigator, "hardwareConcurrency");
    Object.defineProperty(navigator, "hardwareConcurrency", { value: 3, configurable: true });
    try {
      for (
        const [workers, expected] of [[2, "in 2 workers"], [undefined, "in 3 workers"], [
          1,
          "on one thread",
        ]] as const
      ) {
        const demand = { work: 2 ** 40, ...workers !== undefined && { workers } };
        const backend = await openBackend("wasm", demand, silent);
        assert.equal(backend.description, "SIMD WebAssembly on one thread");
        await outcomeOf(backend, slice, read);
        assert.equal(backend.description, `SIMD WebAssembly ${expected}`);
      }
    } finally {
      if (own !== undefined) Object.defineProperty(navigator, "hardwareConcurrency", own);
      else Reflect.deleteProperty(navigator, "hardwareConcurrency");
    }
  });
});

Deno.test("openBackend() takes WebAssembly for auto and asks for no device, however large the model", async () => {
  const { requestAdapter } = GPU.prototype;
  let asked = 0;
  GPU.prototype.requestAdapter = function (options) {
    asked++;
    return requestAdapter.call(this, options);
  };
  try {
    await withSlice({ rows: 40, columns: 64 }, async (slice, read) => {
      for (const bytes of [0, 2 ** 40]) {
        const backend = await openBackend("auto", { work: bytes }, silent);
        await outcomeOf(backend, slice, read);
        assert.deepEqual([backend.name, asked], ["wasm", 0]);
      }
      // The device is asked for in this way where it is wanted.
      await openBackend("webgpu", { work: 0 }, silent).then((gpu) => gpu.close(), () => {});
      assert.equal(asked, 1);
    });
  } finally {
    GPU.prototype.requestAdapter = requestAdapter;
  }
});

withAdapter.test("createDeviceKernels() fails the lane whose buffer was refused, and no other", async () => {
  const device = await openDevice((await probeWebGpu())!);
  const tile = { dtype: "F32" as const, rows: 1, columns: 16, blockRows: 1, blockColumns: 16 };
  const bytes = encodeFloats(Float32Array.from({ length: 16 }, (_, i) => i), "F32");
  // The same device, but with a buffer of a size that it refuses.
  const refusing = new Proxy(device, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "createBuffer") {
        return (wanted: GPUBufferDescriptor) =>
          target.createBuffer({ ...wanted, ...wanted.label === "packed" && { size: 2 ** 50 } });
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const lanes = [createDeviceKernels(refusing, "solo"), createDeviceKernels(device, "solo")];
  const outcomes = await Promise.allSettled(lanes.map((lane) => lane.range(bytes, tile)));
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "fulfilled"]);
  const [refused, good] = outcomes;
  assert.ok(refused!.status === "rejected" && refused!.reason instanceof DeviceError);
  assert.ok(good!.status === "fulfilled" && good!.value.hi[0] === 15);
  device.destroy();
});

Deno.test("createInline() turns waiting jobs away when it is closed", async () => {
  await withSlice({ rows: 64, columns: 64 }, async (slice) => {
    const backend = createInline("reference", "test", createReferenceKernels(), silent.onBytes);
    const jobs = [backend.run({ verb: "measure", slice }), backend.run({ verb: "measure", slice })];
    await Promise.resolve();
    backend.close();
    const [, second] = await Promise.allSettled(jobs);
    assert.equal(second!.status, "rejected");
  });
});

for (const module of MODULES) {
  Deno.test(`${module.file} is what its source compiles to`, async () => {
    const committed = Deno.readTextFileSync(
      new URL(`../lib/compute/kernels/${module.file}`, import.meta.url),
    );
    assert.ok(await buildWasm(module) === committed, "run deno task wasm");
  });
}
