/** Bands of a layer that one job takes together: as if each had a job of its own. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import type { Backend } from "../lib/jobs/backend.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { cutBands } from "../lib/jobs/slice.ts";
import type { Job } from "../lib/jobs/verbs.ts";
import { quantizeBySlices } from "../lib/layer/quantize_slices.ts";
import { gatherBands } from "../lib/layer/slice_layer.ts";
import { DEFAULT_SETTINGS, quantizeModel } from "../mod.ts";
import { floatBytes } from "../lib/safetensors/dtype.ts";
import { withAdapter } from "./find_adapter.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { DTYPES } from "./open_contenders.ts";
import { jobOf, layerJobOf, OPEN, silent, type TestSlice, withSlice } from "./open_slice.ts";

const BANDS = [0, 3, 4, 11, 20];

/** A slice whose rows [3, 4) are all zero. */
const SHAPE = {
  rows: 20,
  columns: 96,
  blockColumns: 32,
  value: (i: number) => Math.floor(i / 96) === 3 ? 0 : noise(21)(i),
};

/** What jobs hold that are about one band each. */
function bandByBand(slice: TestSlice) {
  const { source, columns, dtype } = slice;
  return BANDS.slice(0, -1).map((row, band) => {
    const begin = source.begin + row * columns * floatBytes(dtype);
    const rows = BANDS[band + 1]! - row;
    return jobOf({ ...slice, source: { ...source, begin }, rows, blockRows: rows, row });
  });
}

withAdapter.test("every backend does with bands of one job what it does with each by itself", async () => {
  for (const dtype of DTYPES) {
    await withSlice({ ...SHAPE, dtype }, async (slice, read) => {
      const empty = read();
      const params = {
        scale: Float32Array.from({ length: 12 }, (_, i) => 0.1 + i / 50),
        zero_point: Uint8Array.from({ length: 12 }, (_, i) => 4 + i % 7),
        code_scale: Float32Array.from({ length: 12 }, (_, i) => 0.11 + i / 50),
      };
      const paramsOf = (band: number) => ({
        scale: params.scale.slice(3 * band, 3 * band + 3),
        zero_point: params.zero_point.slice(3 * band, 3 * band + 3),
        code_scale: params.code_scale.slice(3 * band, 3 * band + 3),
      });
      for (const [name, open] of Object.entries(OPEN)) {
        const backend = await open();
        const together = { ...jobOf(slice), bands: BANDS };
        const alone = bandByBand(slice);
        const found = await backend.run({ verb: "quantize", ...together });
        const bytes = read();
        Deno.writeFileSync(slice.target.path, empty);
        for (const [band, job] of alone.entries()) {
          const { lo, hi, sums } = await backend.run({ verb: "quantize", ...job });
          assert.deepEqual(found.lo.slice(3 * band, 3 * band + 3), lo, name);
          assert.deepEqual(found.hi.slice(3 * band, 3 * band + 3), hi, name);
          assert.deepEqual([found.sums[band]], sums, name);
        }
        assert.deepEqual(found.sums.map((sums) => sums === undefined), [false, true, false, false]);
        assert.deepEqual(read(), bytes, name);
        const encoded = await backend.run({ verb: "encode", ...together, params });
        const assessed = await backend.run({ verb: "assess", ...together, params });
        const expected = read();
        Deno.writeFileSync(slice.target.path, empty);
        for (const [band, job] of alone.entries()) {
          const sums = await backend.run({ verb: "encode", ...job, params: paramsOf(band) });
          assert.deepEqual([encoded[band]], sums, name);
          assert.deepEqual([assessed[band]], sums, name);
        }
        assert.deepEqual(read(), expected, name);
        assert.notDeepEqual(expected, bytes);
        Deno.writeFileSync(slice.target.path, empty);
        backend.close();
      }
    });
  }
});

Deno.test("bands of some columns of a matrix begin where their rows do", () => {
  const slice = {
    source: { path: "in", label: "in", begin: 100 },
    ...{ dtype: "F32" as const, rows: 6, columns: 32, stride: 96, blockRows: 6, blockColumns: 16 },
  };
  assert.deepEqual([...cutBands({ slice, bands: [0, 2, 6] })], [
    { slice: { ...slice, rows: 2 }, row: 0, blocks: { first: 0, count: 2 } },
    {
      slice: { ...slice, source: { ...slice.source, begin: 100 + 2 * 96 * 4 }, rows: 4 },
      row: 2,
      blocks: { first: 2, count: 2 },
    },
  ]);
});

Deno.test("jobs of several bands tell of each weight's bytes once, half of them where they only encode", async () => {
  await withSlice(SHAPE, async (slice) => {
    let told = 0;
    const backend = createInline("wasm", "", createWasmKernels(), (bytes) => void (told += bytes));
    const job = { ...jobOf({ ...slice, row: 0 }), bands: BANDS };
    const bytes = 20 * 96 * 2;
    const zeros = 96 * 2;
    await backend.run({ verb: "quantize", ...job });
    assert.equal(told, bytes - zeros / 2); // that band is encoded later
    told = 0;
    const params = { scale: new Float32Array(12).fill(0.2), zero_point: new Uint8Array(12) };
    await backend.run({ verb: "encode", ...job, params });
    assert.equal(told, bytes / 2);
    backend.close();
  });
});

Deno.test("gatherBands() takes small bands together, up to half a megabyte, and large ones alone", async () => {
  await withSlice({ rows: 2, columns: 1024 }, (slice) => {
    const shape = { ...slice, rows: 1000 }; // 256 rows are half a megabyte
    const runs = (bands: number[], isWanted?: (band: number) => boolean) =>
      gatherBands(layerJobOf(shape, bands), bands, isWanted).map(({ first, last, job }) => ({
        bands: [first, last],
        rows: [job.row, job.row + job.slice.rows],
        own: job.bands,
        begin: (job.slice.source.begin - slice.source.begin) / 2048,
        blockRows: job.slice.blockRows,
      }));
    const run = (bands: number[], rows: number[], own: number[]) => ({
      ...{ bands, rows, own, begin: rows[0] },
      blockRows: rows[1]! - rows[0]!,
    });
    assert.deepEqual(runs([0, 1000]), [run([0, 1], [0, 1000], [0, 1000])]);
    assert.deepEqual(runs([0, 100, 256, 257, 600, 1000]), [
      run([0, 2], [0, 256], [0, 100, 256]),
      run([2, 3], [256, 257], [0, 1]),
      run([3, 4], [257, 600], [0, 343]),
      run([4, 5], [600, 1000], [0, 400]),
    ]);
    assert.deepEqual(runs([0, 10, 20, 30, 40, 50], (band) => band !== 2), [
      run([0, 2], [0, 20], [0, 10, 20]),
      run([3, 5], [30, 50], [0, 10, 20]),
    ]);
    assert.deepEqual(runs([0, 10, 20], () => false), []);
    return Promise.resolve();
  });
});

Deno.test("a layer's small bands are one job, and those with an all-zero block another one", async () => {
  await withSlice(SHAPE, async (slice, read) => {
    const backend = createInline("wasm", "", createWasmKernels(), silent.onBytes);
    const jobs: [string, number, readonly number[] | undefined][] = [];
    const watched = {
      ...backend,
      run: (job: Job) => {
        jobs.push([job.verb, "row" in job ? job.row : NaN, "bands" in job ? job.bands : undefined]);
        return backend.run(job);
      },
    } as Backend;
    const before = read();
    const quantize = (backend: Backend, bands: number[]) =>
      quantizeBySlices(
        layerJobOf(slice, bands),
        backend,
        bands,
        { ...DEFAULT_SETTINGS, granularity: "slice", phase: "baseline" },
        () => Promise.resolve(),
      );
    const found = await quantize(watched, BANDS);
    assert.deepEqual(jobs, [["quantize", 0, BANDS], ["encode", 3, [0, 1]]]);
    const bytes = read();
    assert.notDeepEqual(bytes, before);
    // The zeros of the second band take the codes of their neighbour's zero points.
    assert.ok(found.scale.every((scale) => scale > 0), `${found.scale}`);
    assert.equal(found.scale[1], found.scale[0]);
    const params = {
      scale: new Float32Array(3).fill(found.scale[0]!),
      zero_point: new Uint8Array(3),
    };
    const [zeros] = await backend.run({
      verb: "assess",
      ...bandByBand(slice)[1]!,
      params,
    });
    assert.deepEqual([zeros!.signal, zeros!.error], [0, 0]);
    assert.ok(found.sums.signal > 0 && found.sums.error < 0.02 * found.sums.signal);
    backend.close();
  });
});

Deno.test("quantizeModel() takes workers where phase optimize rates many blocks, however small the model", async () => {
  const file = encodeFile([matrix("a.fc.weight", 220, 256, noise(5), "BF16")]);
  await withFiles({ "model/model.safetensors": file }, async (root) => {
    const backendOf = async (phase: "baseline" | "optimize", timeGroups: number) => {
      const log: string[] = [];
      await quantizeModel(join(root, "model"), join(root, "out"), {
        ...DEFAULT_SETTINGS,
        ...{ phase, timeGroups, granularity: "slice", groupSize: 16, overwrite: true },
      }, { onLog: (line) => void log.push(line) });
      return log.find((line) => line.startsWith("Backend: "));
    };
    const alone = "Backend: wasm, SIMD WebAssembly on one thread";
    assert.equal(await backendOf("baseline", 220), alone);
    assert.equal(await backendOf("optimize", 100), alone);
    assert.match(await backendOf("optimize", 220) ?? "", /SIMD WebAssembly in \d workers$/);
  });
});
