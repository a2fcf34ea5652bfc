/** Choosing the parameters of a layer's columns: the same on every backend, however they are cut and read. */

import assert from "node:assert/strict";
import type { Backend } from "../lib/jobs/backend.ts";
import {
  cutBlocks,
  type OptimizedSlice,
  type OptimizeJob,
  optimizeSlice,
} from "../lib/jobs/optimize_slice.ts";
import { openFiles } from "../lib/jobs/open_files.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { openBackend } from "../lib/jobs/open_backend.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { SLICE_BYTES } from "../lib/jobs/desk.ts";
import { createWebGpu, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { withFallback } from "../lib/jobs/with_fallback.ts";
import { chooseParams } from "../lib/params/choose_params.ts";
import { estimateLayerParams } from "../lib/params/estimate_params.ts";
import { rateBlock } from "../lib/params/rate_block.ts";
import { createRatingRoom } from "../lib/params/rating_room.ts";
import { listBins } from "../lib/params/read_histogram.ts";
import { planTimeGroups } from "../lib/plan/plan_time_groups.ts";
import { BINS, type QualitySums, type Scheme } from "../lib/types.ts";
import { floatBytes } from "../lib/safetensors/dtype.ts";
import { withAdapter } from "./find_adapter.ts";
import { noise } from "./make_model.ts";
import { DTYPES } from "./open_contenders.ts";
import {
  jobOf,
  OPEN,
  openSmallTiles,
  silent,
  type SliceShape,
  type TestSlice,
  withSlice,
} from "./open_slice.ts";

/** A slice and its time groups. */
type Shape = SliceShape & { groups: number };

const SHAPES: Record<string, Shape> = {
  "one row": { rows: 1, columns: 64, groups: 1 },
  "blocks": { rows: 40, columns: 128, blockColumns: 32, groups: 3 },
  "17 columns": { rows: 33, columns: 17, groups: 5 },
  "1000 columns": { rows: 12, columns: 1000, groups: 1 },
  "blocks of many weights": { rows: 300, columns: 96, blockColumns: 48, groups: 2 },
  "more blocks than are looked at together": {
    rows: 9,
    columns: 70 * 16,
    blockColumns: 16,
    groups: 3,
  },
};

function optimizeJob(slice: TestSlice, groups: number, weight = 1): OptimizeJob {
  const { bits, scaleDtype, symmetric } = jobOf(slice);
  const bands = planTimeGroups(slice.rows, groups);
  return { verb: "optimize", slice, bands, weight, bits, scaleDtype, symmetric };
}

/** What has to be chosen: from histograms that are counted here, by each weight's upper 16 bits. */
function expectedParams(slice: TestSlice, { bands, weight }: OptimizeJob) {
  const { dtype, columns, blockColumns, bits, source, stride = columns } = slice;
  const width = floatBytes(dtype);
  const view = new DataView(Deno.readFileSync(source.path).buffer, source.begin);
  const blocks = columns / blockColumns;
  const scheme: Scheme = { bits, scaleDtype: dtype, symmetric: false };
  const [lo, hi] = [new Float32Array(0), new Float32Array(0)].map(() =>
    new Float32Array((bands.length - 1) * blocks)
  ) as [Float32Array, Float32Array];
  const room = createRatingRoom();
  const chosen = Array.from({ length: blocks }, (_, block) => {
    room.clear();
    const groups = bands.length - 1;
    const [begins, ends] = [new Uint32Array(groups), new Uint32Array(groups)];
    for (const [group, end] of bands.slice(1).entries()) {
      const counts = new Uint32Array(BINS);
      const at = group * blocks + block;
      for (let row = bands[group]!; row < end; row++) {
        for (let i = block * blockColumns; i < (block + 1) * blockColumns; i++) {
          const word = view.getUint16((row * stride + i + 1) * width - 2, true);
          counts[word]!++;
          const value = width === 4
            ? view.getFloat32((row * stride + i) * 4, true)
            : dtype === "F16"
            ? view.getFloat16((row * stride + i) * 2, true)
            : new Float32Array(Uint32Array.of(word << 16).buffer)[0]!;
          lo[at] = Math.min(lo[at]!, value);
          hi[at] = Math.max(hi[at]!, value);
        }
      }
      const range = { lo: lo[at]!, hi: hi[at]! };
      begins[group] = room.used();
      if (range.lo < range.hi) room.keep(rateBlock(listBins(counts), range, dtype, scheme));
      ends[group] = room.used();
    }
    const kept = room.look();
    const choice = chooseParams({ ...kept, begin: begins, end: ends }, bits, weight);
    return Array.from(choice, (at) => ({
      scale: kept.scale[at]!,
      code_scale: kept.code_scale[at]!,
      zero_point: kept.zero_point[at]!,
    }));
  });
  const inOrder = bands.slice(1).flatMap((_, group) =>
    chosen.map((of) => of[group] ?? { scale: 1, code_scale: 1, zero_point: 0 })
  );
  return {
    params: {
      scale: Float32Array.from(inOrder, ({ scale }) => scale),
      code_scale: Float32Array.from(inOrder, ({ code_scale }) => code_scale),
      zero_point: Uint8Array.from(inOrder, ({ zero_point }) => zero_point),
    },
    own: estimateLayerParams(lo, hi, blocks, scheme),
  };
}

function assertNear(found: QualitySums, expected: QualitySums, what: string): void {
  for (const key of ["signal", "decoded", "error"] as const) {
    const distance = Math.abs(found[key] - expected[key]);
    assert.ok(distance <= 1e-6 * expected[key], `${what} ${key}: ${found[key]}, ${expected[key]}`);
  }
}

/** The energies of all blocks together. */
function total({ ownSums }: OptimizedSlice): QualitySums {
  const sum = (values: Float64Array) => values.reduce((a, b) => a + b);
  const { signal, decoded, error } = ownSums!;
  return { signal: sum(signal), decoded: sum(decoded), error: sum(error) };
}

/** Chooses and closes the backend; the codes' file must stay as it is. */
async function optimizeWith(
  open: () => Promise<Backend>,
  job: OptimizeJob,
  read: () => Uint8Array,
): Promise<OptimizedSlice | undefined> {
  const before = read();
  const backend = await open();
  try {
    return await backend.run(job);
  } finally {
    backend.close();
    assert.deepEqual(read(), before);
  }
}

/** Energies of a slice with some parameters, time group by time group. */
async function assess(slice: TestSlice, bands: number[], params: OptimizedSlice["params"]) {
  const { bits, rows } = slice;
  const reference = await OPEN["the reference"]!();
  const whole = { ...slice, blockRows: rows };
  const sums = await reference.run({ verb: "assess", slice: whole, bands, bits, params });
  reference.close();
  return sums;
}

/** Checks what some backends choose for a slice, and the energies they tell of. */
async function compare(
  { groups, ...shape }: Shape,
  backends: Record<string, () => Promise<Backend>>,
): Promise<void> {
  await withSlice(shape, async (slice, read) => {
    const job = optimizeJob(slice, groups);
    const { params, own } = expectedParams(slice, job);
    const [ownSums, sums] = [
      await assess(slice, job.bands, { ...own, code_scale: own.scale }),
      await assess(slice, job.bands, params),
    ];
    for (const [name, open] of Object.entries(backends)) {
      const found = (await optimizeWith(open, job, read))!;
      assert.deepEqual(found.params, params, name);
      assert.deepEqual(found.own, own, name);
      assert.equal(found.ownSums === undefined, slice.dtype === "F32", name);
      const isOneBlock = slice.columns === slice.blockColumns;
      assert.equal(found.sums === undefined, slice.dtype === "F32" || !isOneBlock, name);
      for (const [group, own] of found.sums?.entries() ?? []) assertNear(own, sums[group]!, name);
      if (found.ownSums === undefined) continue;
      const add = (a: QualitySums, b: QualitySums) => ({
        signal: a.signal + b.signal,
        decoded: a.decoded + b.decoded,
        error: a.error + b.error,
      });
      assertNear(total(found), ownSums.reduce(add), name);
    }
  });
}

for (const [shapeName, shape] of Object.entries(SHAPES)) {
  for (const dtype of DTYPES) {
    withAdapter.test(`every backend optimizes a slice of ${shapeName} of ${dtype} alike`, async () => {
      for (const bits of [2, 4, 8] as const) await compare({ ...shape, dtype, bits }, OPEN);
    });
  }
}

withAdapter.test("every backend optimizes a slice cut into tiles alike, also inside a row", async () => {
  for (const dtype of DTYPES) {
    const tileBytes = 300 * floatBytes(dtype);
    const shapes: Shape[] = [
      { rows: 33, columns: 17, groups: 2 },
      { rows: 5, columns: 1000, groups: 2 },
      { rows: 5, columns: 4000, groups: 1 },
      { rows: 7, columns: 70 * 16, blockColumns: 16, groups: 2 },
      { rows: 200, columns: 96, blockColumns: 48, groups: 3 },
    ];
    for (const shape of shapes) {
      await compare({ ...shape, dtype }, await openSmallTiles(tileBytes));
    }
  }
});

withAdapter.test("every backend optimizes a slice alike that is too large to be kept in memory", async () => {
  const columns = 4096;
  for (const dtype of DTYPES) {
    const rows = SLICE_BYTES / (columns * floatBytes(dtype)) + 5;
    await compare({ rows, columns, blockColumns: columns / 64, dtype, groups: 2 }, OPEN);
  }
});

withAdapter.test("every backend optimizes some columns of a matrix as if there were no others", async () => {
  for (const dtype of DTYPES) {
    for (const [rows, blockColumns, groups] of [[24, 16, 4], [40, 96, 1]] as const) {
      const shape = { rows, columns: 192, blockColumns, dtype };
      await withSlice(shape, async (slice, read) => {
        const begin = slice.source.begin + 96 * floatBytes(dtype);
        const source = { ...slice.source, begin };
        const part = { ...slice, source, columns: 96, stride: 192 };
        const job = optimizeJob(part, groups);
        const { params, own } = expectedParams(part, job);
        const kernels = { ...createWasmKernels(), tileBytes: 200 * floatBytes(dtype) };
        const small = { small: () => Promise.resolve(createInline("wasm", "", kernels, () => {})) };
        for (const [name, open] of Object.entries({ ...OPEN, ...small })) {
          const found = (await optimizeWith(open, job, read))!;
          assert.deepEqual([found.params, found.own], [params, own], name);
        }
      });
    }
  }
});

/** A slice of two blocks, the second of which is overwritten with a word; -1 leaves it. */
async function withSecondBlock(
  use: (
    slice: TestSlice,
    read: () => Uint8Array,
    fill: (word: number) => void,
  ) => Promise<
    void
  >,
): Promise<void> {
  await withSlice({ rows: 4, columns: 64, blockColumns: 32 }, async (slice, read) => {
    const file = Deno.readFileSync(slice.source.path);
    await use(slice, read, (word) => {
      const bytes = file.slice();
      for (let i = 0; i < 4 * 64; i++) {
        if (i % 64 >= 32) bytes.set([word & 255, word >> 8], slice.source.begin + i * 2);
      }
      Deno.writeFileSync(slice.source.path, bytes);
    });
  });
}

withAdapter.test("every backend gives an all-zero block its neighbour's parameters, and no energies", async () => {
  await withSecondBlock(async (slice, read, fill) => {
    for (const zero of [0, 0x8000, 0x0001, 0x807f]) { // of both signs, and subnormal
      fill(zero);
      for (const [name, open] of Object.entries(OPEN)) {
        const { params, own, ownSums } = (await optimizeWith(open, optimizeJob(slice, 2), read))!;
        for (const { scale, zero_point } of [params, own]) {
          assert.deepEqual([scale[1], scale[3], zero_point[1], zero_point[3]], [1, 1, 0, 0], name);
          assert.ok(scale[0]! < 1 && scale[2]! < 1, name);
        }
        assert.deepEqual([ownSums!.signal[1], ownSums!.error[3]], [0, 0], name);
        assert.ok(ownSums!.error[0]! > 0, name);
      }
    }
  });
});

withAdapter.test("every backend chooses nothing where a block holds a NaN or an infinity, or is too wide", async () => {
  await withSecondBlock(async (slice, read, fill) => {
    for (const word of [0x7fc0, 0xff80, 0x7f00]) {
      fill(word);
      for (const [name, open] of Object.entries(OPEN)) {
        const found = await optimizeWith(open, optimizeJob(slice, 2), read);
        assert.equal(found, undefined, `${name} ${word}`);
      }
    }
  });
});

Deno.test("optimize() and encode() tell of one half of the source each, in whole bytes", async () => {
  const shapes: SliceShape[] = [
    { rows: 3, columns: 70 * 16, blockColumns: 16 },
    { rows: 33, columns: 17 },
    { rows: 7, columns: 37, dtype: "F32" },
  ];
  for (const shape of shapes) {
    await withSlice(shape, async (slice) => {
      const told: number[] = [];
      const small = { ...createReferenceKernels(), tileBytes: 256 };
      const backend = createInline("reference", "", small, (bytes) => void told.push(bytes));
      const total = () => told.splice(0).reduce((sum, bytes) => sum + bytes, 0);
      const half = slice.rows * slice.columns * floatBytes(slice.dtype) / 2;
      const found = await backend.run(optimizeJob(slice, 1));
      assert.ok(told.length > 1 && told.every(Number.isInteger));
      assert.equal(total(), half);
      const { params } = found!;
      await backend.run({ verb: "assess", slice, bands: [0, slice.rows], bits: 4, params });
      assert.equal(total(), 0);
      await backend.run({ verb: "encode", ...jobOf(slice), params });
      assert.equal(total(), half);
      backend.close();
    });
  }
});

Deno.test("a slice is optimized in the dtype that its scales are stored in, whatever its own is", async () => {
  const sample = noise(3);
  const value = (i: number) => 0.02 * (sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2));
  await withSlice({ rows: 40, columns: 64, dtype: "BF16", bits: 2, value }, async (slice) => {
    const backend = await openBackend("reference", { work: 0 }, silent);
    const job = optimizeJob(slice, 1);
    const found = (await backend.run({ ...job, scaleDtype: "F32" }))!;
    const same = (await backend.run(job))!;
    backend.close();
    assert.notEqual(found.own.scale[0], same.own.scale[0]);
    assert.notEqual(found.params.scale[0], same.params.scale[0]);
    // Candidates make codes by the same scales, and store them as exactly as they can.
    assert.equal(found.params.code_scale[0], same.params.code_scale[0]);
  });
});

withAdapter.test("withFallback() optimizes with wasm when the device is lost", async () => {
  await withSlice({ rows: 80, columns: 64 }, async (slice) => {
    const job = optimizeJob(slice, 2);
    const { params } = expectedParams(slice, job);
    const device = await openDevice((await probeWebGpu())!);
    const backend = withFallback(
      createWebGpu(device, "solo", "test", silent.onBytes),
      () => openBackend("wasm", { work: 0 }, silent),
      () => {},
    );
    const first = backend.run(job);
    device.destroy();
    for (const found of await Promise.all([first, backend.run(job)])) {
      assert.deepEqual(found!.params, params);
    }
    assert.equal(backend.name, "wasm");
    backend.close();
  });
});

withAdapter.test("several slices are optimized at once without a count going astray", async () => {
  await withSlice(
    { rows: 160, columns: 256, blockColumns: 64, value: noise(23) },
    async (slice) => {
      const jobs = [1, 160, 50, 9, 20, 120].map((rows) =>
        optimizeJob({ ...slice, rows, blockRows: rows }, Math.min(rows, 2))
      );
      const expected = jobs.map((job) => expectedParams({ ...slice, ...job.slice }, job).params);
      for (const [name, open] of Object.entries(OPEN)) {
        const backend = await open();
        const found = await Promise.all(jobs.map((job) => backend.run(job)));
        backend.close();
        assert.deepEqual(found.map((one) => one!.params), expected, name);
      }
    },
  );
});

/** What a job reads, and is told of, through a desk of its own. */
async function watchJob(job: OptimizeJob): Promise<{ read: number; told: number[] }> {
  const files = openFiles(true);
  const found = { read: 0, told: [] as number[] };
  try {
    await optimizeSlice(job, {
      kernels: createWasmKernels(),
      files: {
        ...files,
        read(place, offset, out) {
          found.read += out.length;
          return files.read(place, offset, out);
        },
      },
      onBytes: (bytes) => void found.told.push(bytes),
    });
  } finally {
    files.close();
  }
  return found;
}

Deno.test("optimize() reads each weight once, however many blocks and time groups there are", async () => {
  const shapes: Shape[] = [
    { rows: 4, columns: 16 * 3000, blockColumns: 16, groups: 2 },
    { rows: 500, columns: 160, blockColumns: 16, groups: 500 },
    { rows: 200, columns: 70 * 32, blockColumns: 32, groups: 2 },
    { rows: 8, columns: 6000, groups: 2 },
  ];
  for (const { groups, ...shape } of shapes) {
    for (const dtype of DTYPES) {
      await withSlice({ ...shape, dtype }, async (slice) => {
        const { read } = await watchJob(optimizeJob(slice, groups));
        assert.equal(read, slice.rows * slice.columns * floatBytes(dtype), `${shape.columns}`);
      });
    }
  }
});

Deno.test("optimize() has the candidates of 2048 blocks of time groups in memory at most", async () => {
  for (const [groups, expected] of [[100, 20], [300, 6], [1000, 2]] as const) {
    await withSlice({ rows: groups, columns: 16 * 34, blockColumns: 16 }, async (slice) => {
      const { told } = await watchJob(optimizeJob(slice, groups));
      // It tells of half of what it has looked at, group after group.
      const blocks = told.map((bytes) => 2 * bytes / (16 * 2));
      assert.equal(blocks.reduce((a, b) => a + b), 34 * groups);
      assert.equal(Math.max(...blocks), expected, `${groups} time groups`);
    });
  }
});

Deno.test("optimize() gives no energies of the choice where it would have to keep too many values", async () => {
  for (const [groups, isKnown] of [[20, true], [220, false]] as const) {
    await withSlice({ rows: groups, columns: 16384, dtype: "F16" }, async (slice) => {
      const backend = createInline("wasm", "", createWasmKernels(), silent.onBytes);
      const found = await backend.run(optimizeJob(slice, groups));
      backend.close();
      assert.equal(found!.sums !== undefined, isKnown, `${groups} time groups`);
      assert.equal(found!.ownSums!.error.every((error) => error > 0), true);
    });
  }
});

Deno.test("chooseParams() gives all-zero blocks the candidates of the time group before, the first ones of the next", () => {
  const choose = (lists: [scale: number, error: number][][], weight: number) => {
    const all = lists.flat();
    const ends = lists.map((_, g) => lists.slice(0, g + 1).flat().length);
    const path = chooseParams(
      {
        scale: all.map(([scale]) => scale),
        zero_point: all.map(() => 0),
        error: all.map(([, error]) => error),
        begin: Uint32Array.from([0, ...ends.slice(0, -1)]),
        end: Uint32Array.from(ends),
      },
      2,
      weight,
    );
    return Array.from(path, (at) => all[at]![0]);
  };
  const [one, two]: [number, number][][] = [[[1, 1], [2, 3]], [[3, 4], [4, 1], [5, 5]]];
  assert.deepEqual(choose([[], one!, [], [], two!, []], 0), [1, 1, 1, 1, 4, 4]);
  assert.deepEqual(choose([two!, one!], 0), [4, 1]);
  assert.deepEqual(choose([[], []], 0), []);
  assert.deepEqual(choose([], 1), []);
  // What saves less than a tenth of its cost leaves each its own parameters, which come last.
  assert.deepEqual(choose([[[1, 1], [2, 1.05]], [], [[3, 1], [4, 1.05]]], 0), [2, 2, 4]);
  assert.deepEqual(choose([[[1, 1], [2, 1.2]], [], [[3, 1], [4, 1.2]]], 0), [1, 1, 3]);
});

Deno.test("cutBlocks() gives a job what it can hold, or the blocks it looks at together", () => {
  const cut = (rows: number, columns: number, blockColumns: number, groups: number) => {
    const spans = cutBlocks({ rows, columns, blockColumns, dtype: "BF16" }, groups);
    assert.equal(
      spans.reduce((sum, { first, count }) => first === sum ? sum + count : NaN, 0),
      columns / blockColumns,
    );
    return Math.max(...spans.map(({ count }) => count));
  };
  assert.equal(cut(8192, 28672, 16, 1000), 16); // 4 MiB
  assert.equal(cut(16, 2 ** 20, 16, 16), 8192); // 4 MiB
  assert.equal(cut(2 ** 20, 4096, 16, 1000), 2); // the candidates of 2048 blocks
  assert.equal(cut(2 ** 20, 4096, 16, 4), 32); // the histograms that kernels hold
  assert.equal(cut(4096, 4096, 4096, 1000), 1);
});
