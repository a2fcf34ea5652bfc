/** Rows with blocks of their own: what a backend makes of them, and what becomes of a layer. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  costOfPath,
  optimizePath,
  quantizeModel,
  type QuantizeSettings,
  type Report,
  verifyCheckpoint,
} from "../mod.ts";
import { packedBytes } from "../lib/compute/pack_codes.ts";
import { encodeParams } from "../lib/format/compressed_tensors/encode_params.ts";
import { COMPRESSED_TENSORS } from "../lib/format/compressed_tensors/format.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import type { Backend } from "../lib/jobs/backend.ts";
import { createInline } from "../lib/jobs/inline.ts";
import type { QuantizedRows } from "../lib/jobs/quantize_rows.ts";
import { createWebGpu, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { cutRows } from "../lib/layer/slice_layer.ts";
import { estimateParams } from "../lib/params/estimate_params.ts";
import { meanOfGroups } from "../lib/params/score_track.ts";
import { planLayer } from "../lib/plan/plan_layer.ts";
import {
  encodeFloats,
  floatBytes,
  type FloatDtype,
  roundToDtype,
} from "../lib/safetensors/dtype.ts";
import { DEFAULT_SETTINGS } from "../lib/settings/settings.ts";
import type { Bits } from "../lib/types.ts";
import { withAdapter } from "./find_adapter.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { jobOf, OPEN, silent, type TestSlice, withSlice } from "./open_slice.ts";

/** Every backend, WebGPU in both forms. */
const BACKENDS: Record<string, () => Promise<Backend>> = {
  ...OPEN,
  "webgpu in workgroups": async () => {
    const device = await openDevice((await probeWebGpu())!);
    return createWebGpu(device, "together", "workgroups", silent.onBytes);
  },
};

async function quantize(
  backend: Backend,
  slice: TestSlice,
  isSearched: boolean,
): Promise<QuantizedRows | undefined> {
  try {
    return await backend.run({ verb: "quantizeRows", ...jobOf(slice), isSearched });
  } finally {
    backend.close();
  }
}

const CASES: { bits: Bits; isSearched: boolean; dtype: FloatDtype }[] = [
  { bits: 2, isSearched: true, dtype: "BF16" },
  { bits: 2, isSearched: true, dtype: "F32" },
  { bits: 2, isSearched: false, dtype: "F16" },
  { bits: 4, isSearched: false, dtype: "BF16" },
  { bits: 8, isSearched: false, dtype: "F32" },
];

for (const blockColumns of [16, 32, 64, 128, 384]) {
  for (const { bits, isSearched, dtype } of CASES) {
    const how = isSearched ? "searched" : "by range";
    withAdapter.test(`every backend quantizes rows in blocks of ${blockColumns} alike, ${dtype} to INT${bits}, ${how}`, async () => {
      const shape = { rows: 37, columns: 384, dtype, bits };
      await withSlice(shape, async (whole, read) => {
        const slice = { ...whole, blockRows: 1, blockColumns };
        const expected = await quantize(await OPEN["the reference"]!(), slice, isSearched);
        const bytes = read();
        assert.equal(expected!.params.code_scale !== undefined, isSearched);
        assert.equal(expected!.own !== undefined, isSearched);
        for (const [name, open] of Object.entries(BACKENDS)) {
          Deno.writeFileSync(slice.target.path, new Uint8Array(bytes.length));
          const found = await quantize(await open(), slice, isSearched);
          const different = bytes.findIndex((byte, i) => byte !== read()[i]);
          assert.equal(different, -1, `${name}: byte ${different}`);
          assert.deepEqual(found!.params, expected!.params, name);
          assert.deepEqual(found!.rows, expected!.rows, name);
          assert.deepEqual(found!.filled, expected!.filled, name);
          assert.deepEqual(found!.own?.rows, expected!.own?.rows, name);
          for (const part of ["sums", "own"] as const) {
            const [theirs, ours] = part === "sums"
              ? [found!.sums, expected!.sums]
              : [found!.own?.sums, expected!.own?.sums];
            if (theirs === undefined || ours === undefined) continue;
            for (const key of ["signal", "decoded", "error"] as const) {
              assert.ok(Math.abs(theirs[key] - ours[key]) <= 1e-6 * ours[key], `${name} ${key}`);
            }
          }
        }
      });
    });
  }
}

Deno.test("rows by range are what estimateParams() and the plain kernels make of each block", async () => {
  const value = noise(31);
  await withSlice({ rows: 5, columns: 96, value }, async (whole, read) => {
    const slice = { ...whole, blockRows: 1, blockColumns: 32 };
    const found = (await quantize(await OPEN["wasm on this thread"]!(), slice, false))!;
    const weights = Float32Array.from({ length: 480 }, (_, i) => roundToDtype(value(i), "BF16"));
    const kernels = createReferenceKernels();
    let [error, scales] = [0, 0];
    for (let block = 0; block < 15; block++) {
      const x = weights.subarray(block * 32, (block + 1) * 32);
      const own = estimateParams(Math.min(0, ...x), Math.max(0, ...x), 4, "BF16");
      assert.equal(found.params.scale[block], own.scale);
      assert.equal(found.params.zero_point[block], own.zero_point);
      scales += own.scale;
      const tile = { dtype: "BF16", rows: 1, columns: 32, blockRows: 1, blockColumns: 32 } as const;
      const params = {
        scale: Float32Array.of(own.scale),
        zero_point: Uint8Array.of(own.zero_point),
      };
      const { packed, sums } = kernels.encode(encodeFloats(x, "BF16"), tile, 4, params);
      error += sums.error;
      const at = 7 + Math.floor(block / 3) * packedBytes(96, 4) + (block % 3) * 16;
      assert.deepEqual(read().subarray(at, at + 16), packed);
    }
    assert.ok(Math.abs(found.sums.error - error) < 1e-6 * error);
    assert.ok(Math.abs(found.rows.scale.reduce((a, b) => a + b) - scales) < 1e-9);
    assert.deepEqual([...found.filled], new Array(15).fill(1));
  });
});

Deno.test("an all-zero block of a row decodes to 0 and counts for no mean", async () => {
  const value = (i: number) => i % 64 < 32 && i < 128 ? 0 : noise(32)(i);
  for (const isSearched of [false, true]) {
    await withSlice({ rows: 4, columns: 64, bits: 2, value }, async (whole) => {
      const slice = { ...whole, blockRows: 1, blockColumns: 32 };
      const found = (await quantize(await OPEN["wasm on this thread"]!(), slice, isSearched))!;
      assert.deepEqual([...found.filled], [0, 1, 0, 1, 1, 1, 1, 1]);
      for (const block of [0, 2]) {
        assert.deepEqual([found.params.scale[block], found.params.zero_point[block]], [1, 0]);
      }
      assert.equal(found.rows.scale[0], found.params.scale[1]);
      assert.equal(found.rows.zero_point[0], found.params.zero_point[1]);
    });
  }
});

Deno.test("rows with a NaN, an infinity or too wide a range are refused by every backend", async () => {
  for (const [bad, dtype] of [[NaN, "BF16"], [-Infinity, "F16"], [2 ** 127, "F32"]] as const) {
    const value = (i: number) => i === 70 ? bad : i === 71 ? -Math.abs(bad) : noise(33)(i);
    await withSlice({ rows: 4, columns: 32, dtype, value }, async (whole) => {
      const slice = { ...whole, blockRows: 1, blockColumns: 16 };
      for (const name of ["the reference", "wasm on this thread", "wasm in workers"]) {
        assert.equal(await quantize(await OPEN[name]!(), slice, false), undefined, name);
      }
    });
  }
});

Deno.test("a job of rows tells of every byte once, and takes blocks wider than a tile", async () => {
  const columns = 600_000;
  await withSlice({ rows: 2, columns, bits: 2 }, async (slice, read) => {
    let told = 0;
    const tell = (bytes: number) => void (told += bytes);
    const { createWasmKernels } = await import("../lib/compute/wasm_kernels.ts");
    const wasm = createInline("wasm", "wasm", createWasmKernels(), tell);
    const found = (await quantize(wasm, { ...slice, blockRows: 1 }, true))!;
    const bytes = read();
    assert.equal(told, 2 * columns * 2);
    assert.equal(found.params.scale.length, 2);
    const expected = (await quantize(
      await OPEN["the reference"]!(),
      { ...slice, blockRows: 1 },
      true,
    ))!;
    assert.deepEqual([...found.params.scale], [...expected.params.scale]);
    assert.equal(read().findIndex((byte, i) => byte !== bytes[i]), -1);
  });
});

Deno.test("meanOfGroups() takes the mean over rows and blocks, and a neighbour's where there is none", () => {
  const totals = {
    scale: Float64Array.of(0, 0, 2, 4, 0, 9),
    zero_point: Float64Array.of(0, 0, 3, 1, 0, 6),
    count: Float64Array.of(0, 0, 2, 2, 0, 3),
  };
  assert.deepEqual(meanOfGroups(totals, [0, 2, 4, 5, 6]), {
    scale: [1.5, 1.5, 1.5, 3],
    zero_point: [1, 1, 1, 2],
  });
  assert.deepEqual(meanOfGroups(totals, [0, 1, 2]), { scale: [1, 1], zero_point: [0, 0] });
});

/** A layer at 2 bits with blocks of so many columns, as compressed-tensors stores it. */
function planRows(rows: number, columns: number, dtype: "BF16" | "F32", groupSize: number) {
  const end = rows * columns * floatBytes(dtype);
  const layer = planLayer(
    { name: "x.weight", dtype, shape: [rows, columns], begin: 0, end },
    "model.safetensors",
    { bits: 2, timeGroups: 1, granularity: "row", groupSize, symmetric: false },
    COMPRESSED_TENSORS.storage,
  );
  assert.ok(layer !== undefined);
  return layer;
}

Deno.test("cutRows() gives runs whose zero points end on a word, and none too large", () => {
  assert.deepEqual(cutRows(planRows(100, 128, "BF16", 128), { from: 0, to: 100 }), [{
    from: 0,
    to: 100,
  }]);
  // 2^17 blocks at most.
  const runs = cutRows(planRows(20_000, 4096, "BF16", 16), { from: 0, to: 20_000 });
  assert.deepEqual(runs[0], { from: 0, to: 512 });
  assert.equal(runs.at(-1)!.to, 20_000);
  assert.ok(runs.every(({ from }) => from % 16 === 0));
});

/** A model of one matrix whose rows grow louder from time group to time group. */
function stairs(rows: number, columns: number): Uint8Array {
  const sample = noise(41);
  return encodeFile([
    matrix("layer.weight", rows, columns, (i) => {
      const group = Math.floor((4 * Math.floor(i / columns)) / rows);
      return Math.fround((1 + 0.1 * group) * (sample(2 * i) + sample(2 * i + 1)));
    }),
  ]);
}

/** The stored F32 scales of a checkpoint's one layer. */
function scalesIn(directory: string): Float32Array {
  const bytes = Deno.readFileSync(join(directory, "model.safetensors"));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const [from, to] = header["layer.weight_scale"].data_offsets;
  return new Float32Array(bytes.slice(8 + length + from, 8 + length + to).buffer);
}

async function onStairs(
  settings: Partial<QuantizeSettings>,
  use: (report: Report, directory: string, model: string) => void | Promise<void>,
): Promise<void> {
  await withFiles({ "model/model.safetensors": stairs(64, 96) }, async (directory) => {
    const [model, output] = [join(directory, "model"), join(directory, "out")];
    const all = { ...DEFAULT_SETTINGS, groupSize: 32, backend: "wasm" as const, ...settings };
    await use(await quantizeModel(model, output, all), output, model);
  });
}

Deno.test("optimize by rows keeps the ranges' parameters at 4 and 8 bits", async () => {
  for (const bits of [4, 8] as const) {
    await onStairs({ bits }, async (baseline) => {
      await onStairs({ bits, phase: "optimize" }, (report) => {
        assert.deepEqual(report.layers[0]!.scale, baseline.layers[0]!.scale);
        assert.equal(report.sqnr_db, baseline.sqnr_db);
        assert.equal(report.change!.sqnr_db, 0);
        assert.equal(report.markov_weight, 0);
      });
    });
  }
});

Deno.test("optimize by rows says of phase baseline what a run of it says", async () => {
  await onStairs({ bits: 2 }, async (baseline) => {
    await onStairs({ bits: 2, phase: "optimize" }, (report) => {
      assert.deepEqual(report.layers[0]!.baseline!.scale, baseline.layers[0]!.scale);
      assert.deepEqual(report.layers[0]!.baseline!.zero_point, baseline.layers[0]!.zero_point);
      assert.ok(Math.abs(report.baseline!.sqnr_db! - baseline.sqnr_db!) < 1e-6);
      assert.equal(report.baseline!.smoothness_score, baseline.smoothness_score);
      assert.ok(report.sqnr_db! > baseline.sqnr_db!, `${report.sqnr_db} dB`);
    });
  });
});

Deno.test("a Markov weight by rows draws the groups' means together, and never makes the sum worse", async () => {
  for (const bits of [2, 4, 8] as const) {
    const jumpsOf = ({ boundary_jumps }: Report) =>
      boundary_jumps.reduce((sum, jump) => sum + jump.scale_jump + jump.zero_point_jump, 0);
    const found: Report[] = [];
    for (const markovWeight of [0, 0.5, 20]) {
      await onStairs({ bits, phase: "optimize", markovWeight }, async (report, output, model) => {
        found.push(report);
        const verified = await verifyCheckpoint(output, model);
        assert.ok(Math.abs(verified.sqnr_db! - report.sqnr_db!) < 1e-3);
        // What is stored has moved as far as the report says.
        const stored = scalesIn(output);
        for (const [group, mean] of report.layers[0]!.scale.entries()) {
          const own = stored.subarray(group * 16 * 3, (group + 1) * 16 * 3);
          const found = own.reduce((sum, scale) => sum + scale, 0) / own.length;
          assert.ok(Math.abs(found / mean - 1) < 1e-5, `${found}, reported ${mean}`);
        }
      });
    }
    const [free, light, heavy] = found.map(jumpsOf);
    assert.ok(light! <= free! && heavy! < free! * 0.8, `${free}, ${light}, ${heavy}`);
    // Each group's mean has moved by one of the ratios 2^(k/16), k = -4..4.
    for (const [group, scale] of found[2]!.layers[0]!.scale.entries()) {
      const k = 16 * Math.log2(scale / found[0]!.layers[0]!.scale[group]!);
      assert.ok(Math.abs(k - Math.round(k)) < 1e-9 && Math.abs(k) <= 4.1, `${k}`);
    }
    assert.equal(found[2]!.layers[0]!.zero_point[0], found[0]!.layers[0]!.zero_point[0]);
  }
});

Deno.test("ratios are rated by the errors of their rows, alike on every backend", async () => {
  await withSlice({ rows: 9, columns: 64, bits: 2 }, async (whole) => {
    const slice = { ...whole, blockRows: 1, blockColumns: 32 };
    const { params } = (await quantize(await OPEN["the reference"]!(), slice, true))!;
    const { target: _target, bits, ...rest } = slice;
    const ratios = [0.5, 1, 2];
    const job = {
      verb: "rateRatios",
      slice: rest,
      bits,
      params,
      scaleDtype: "BF16",
      symmetric: false,
      ratios,
      norm: 3,
    } as const;
    const x = Float32Array.from({ length: 576 }, (_, i) => roundToDtype(noise(21)(i), "BF16"));
    const expected = ratios.map((ratio) =>
      x.reduce((sum, value, i) => {
        const block = Math.floor(i / 32);
        const code = Math.fround(params.code_scale![block]! * ratio);
        const zeroPoint = params.zero_point[block]!;
        const steps = Math.min(Math.max(Math.round(value / code), -zeroPoint), 3 - zeroPoint);
        return sum +
          Math.abs(value - steps * roundToDtype(params.scale[block]! * ratio, "BF16")) ** 3;
      }, 0)
    );
    for (const name of ["the reference", "wasm on this thread", "wasm in workers"]) {
      const backend = await OPEN[name]!();
      const found = await backend.run(job);
      backend.close();
      for (const [i, error] of found.entries()) {
        assert.ok(Math.abs(error / expected[i]! - 1) < 1e-3, `${name}: ${error}, ${expected[i]}`);
      }
      assert.ok(found[1]! < found[0]! && found[1]! < found[2]!);
    }
  });
});

Deno.test("a layer of several jobs has the means of all of its rows", async () => {
  // 6544 rows are one job, of tiles of 819; the last ones are shorter.
  const [rows, columns] = [8200, 320];
  const value = (i: number) => noise(61)(i) * (i < 6150 * columns ? 1 : 10);
  const model = encodeFile([matrix("layer.weight", rows, columns, value)]);
  await withFiles({ "model/model.safetensors": model }, async (directory) => {
    const [path, output] = [join(directory, "model"), join(directory, "out")];
    const { layers: [layer] } = await quantizeModel(path, output, {
      ...DEFAULT_SETTINGS,
      groupSize: 16,
    });
    assert.deepEqual(layer!.boundaries, [0, 2050, 4100, 6150, 8200]);
    const stored = scalesIn(output);
    for (const [g, scale] of layer!.scale.entries()) {
      const own = stored.subarray(2050 * 20 * g, 2050 * 20 * (g + 1));
      const mean = own.reduce((sum, scale) => sum + scale, 0) / own.length;
      assert.ok(Math.abs(scale - mean) < 1e-6 * mean, `${scale} ${mean}`);
    }
    assert.ok(layer!.scale[3]! > 9 * layer!.scale[2]!);
  });
});

Deno.test("the parameters of a layer come out the same in one part or in several", () => {
  const rows = 80;
  const plan = planRows(rows, 64, "F32", 32);
  const scale = Float32Array.from({ length: rows * 2 }, (_, i) => i + 1);
  const zero_point = Uint8Array.from({ length: rows * 2 }, (_, i) => i * 7 % 4);
  const encode = (cuts: number[]) => {
    const file = new Map<number, Uint8Array>();
    for (const [i, to] of cuts.slice(1).entries()) {
      const from = cuts[i]!;
      const params = {
        bands: Array.from({ length: to - from + 1 }, (_, row) => from + row),
        blocks: 2,
        scale: scale.subarray(from * 2, to * 2),
        zero_point: zero_point.subarray(from * 2, to * 2),
      };
      for (const { tensor, offset, bytes } of encodeParams(plan, params)) {
        const whole = file.get(tensor) ?? new Uint8Array(rows * 2 * 4);
        whole.set(bytes, offset);
        file.set(tensor, whole);
      }
    }
    return file;
  };
  const whole = encode([0, 80]);
  assert.equal(whole.size, 2);
  assert.deepEqual(encode([0, 16, 48, 80]), whole);
});

Deno.test("code scales stay normal where weights are next to subnormal, on every backend", async () => {
  const tiny = encodeFile([
    matrix("layer.weight", 16, 32, (i) => 2 ** -124 * (noise(51)(i) + (i < 256 ? 0 : 2))),
  ]);
  await withFiles({ "model/model.safetensors": tiny }, async (directory) => {
    const sqnr = [];
    for (const backend of ["reference", "wasm"] as const) {
      const report = await quantizeModel(join(directory, "model"), join(directory, backend), {
        ...DEFAULT_SETTINGS,
        timeGroups: 2,
        groupSize: 16,
        phase: "optimize",
        smoothingWindow: 4,
        markovWeight: 5,
        backend,
      });
      sqnr.push(report.sqnr_db);
    }
    assert.ok(sqnr[0]! > 3, `${sqnr[0]} dB`);
    assert.equal(sqnr[0], sqnr[1]);
  });
});

Deno.test("the path by ratios is the cheapest of all", () => {
  const groups = [1, 1.2, 0.9].map((mean) => ({
    scale: [0.9, 1, 1.1].map((ratio) => mean * ratio),
    zero_point: [1.5, 1.5, 1.5],
    error: [1.2, 1, 1.3],
  }));
  const all = [0, 1, 2].flatMap((a) => [0, 1, 2].flatMap((b) => [0, 1, 2].map((c) => [a, b, c])));
  const cheapest =
    all.toSorted((a, b) => costOfPath(groups, a, 2, 1) - costOfPath(groups, b, 2, 1))[0];
  assert.deepEqual(optimizePath(groups, 2, 1).path, cheapest);
});

Deno.test("smoothing by rows moves the rows of a window by what their group's mean moves", async () => {
  const settings = { bits: 8, phase: "smooth", smoothingWindow: 3 } as const;
  await onStairs({ bits: 8 }, async (baseline, before) => {
    const own = scalesIn(before);
    await onStairs(settings, async (report, output, model) => {
      const moved = scalesIn(output);
      const { scale } = baseline.layers[0]!;
      for (let row = 0; row < 64; row++) {
        const group = Math.floor(row / 16);
        const boundary = [16, 32, 48].find((at) => row >= at - 3 && row < at + 3);
        let factor = 1;
        if (boundary !== undefined) {
          const left = boundary / 16 - 1;
          const share = (row - (boundary - 3) + 1) / 7;
          factor = (scale[left]! + share * (scale[left + 1]! - scale[left]!)) / scale[group]!;
        }
        for (let block = 0; block < 3; block++) {
          const ratio = moved[row * 3 + block]! / own[row * 3 + block]!;
          assert.ok(Math.abs(ratio - factor) < 1e-6, `row ${row}: ${ratio}, expected ${factor}`);
        }
      }
      assert.ok(report.smoothness_score > baseline.smoothness_score);
      assert.equal(report.baseline!.smoothness_score, baseline.smoothness_score);
      const verified = await verifyCheckpoint(output, model);
      assert.ok(Math.abs(verified.sqnr_db! - report.sqnr_db!) < 1e-3);
    });
  });
});

Deno.test("smoothing by rows moves blocks of scale 1 and zero point 0, and no all-zero ones", async () => {
  // Rows of 0 to 3, and of 0 to 6 in the second time group: scales 1 and 2 at two bits.
  const value = (i: number) => (i % 64 < 32 ? i % 4 : 0) * (i < 256 ? 1 : 2);
  const model = encodeFile([matrix("layer.weight", 8, 64, value)]);
  await withFiles({ "model/model.safetensors": model }, async (directory) => {
    const report = await quantizeModel(join(directory, "model"), join(directory, "out"), {
      ...DEFAULT_SETTINGS,
      timeGroups: 2,
      groupSize: 32,
      phase: "smooth",
      smoothingWindow: 2,
    });
    assert.deepEqual(report.layers[0]!.scale, [1, 2]);
    const scale = scalesIn(join(directory, "out"));
    const [filled, empty] = [0, 1].map((part) => [...scale].filter((_, i) => i % 2 === part));
    assert.deepEqual(filled!.map((x) => x.toFixed(2)), [
      "1.00",
      "1.00",
      "1.20",
      "1.40",
      "1.60",
      "1.80",
      "2.00",
      "2.00",
    ]);
    assert.deepEqual(empty, new Array(8).fill(1));
    assert.ok(Math.abs(report.smoothness_score - report.stored_smoothness_score!) < 1e-6);
  });
});

/** The weight file of a run. */
async function checkpointOf(settings: Partial<QuantizeSettings>): Promise<Uint8Array> {
  let bytes = new Uint8Array();
  await onStairs(settings, (_report, output) => {
    bytes = Deno.readFileSync(join(output, "model.safetensors"));
  });
  return bytes;
}

for (const granularity of ["row", "slice"] as const) {
  for (const groupSize of [16, 32, 48, 96]) {
    withAdapter.test(`a checkpoint by ${granularity}s in blocks of ${groupSize} has the same bytes from every backend`, async () => {
      for (
        const settings of [
          { bits: 2, phase: "optimize" },
          { bits: 4, phase: "baseline" },
          { bits: 8, phase: "smooth" },
          { bits: 2, phase: "optimize", markovWeight: 2, smoothingWindow: 2 },
        ] satisfies Partial<QuantizeSettings>[]
      ) {
        const all = { granularity, groupSize, ...settings };
        const expected = await checkpointOf({ ...all, backend: "reference" });
        for (const backend of ["wasm", "webgpu"] as const) {
          const found = await checkpointOf({ ...all, backend });
          const different = expected.findIndex((byte, i) => byte !== found[i]);
          assert.equal(different, -1, `${backend}, ${JSON.stringify(settings)}: ${different}`);
        }
      }
    });
  }
}
