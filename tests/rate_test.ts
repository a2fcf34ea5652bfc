/** Rating the blocks of a slice: the same on every backend, however the slice is cut and read. */

import assert from "node:assert/strict";
import type { Backend } from "../lib/jobs/backend.ts";
import type { RatedSlice } from "../lib/jobs/rate_slice.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { openBackend } from "../lib/jobs/open_backend.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { SLICE_BYTES } from "../lib/jobs/desk.ts";
import { createWebGpu, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { withFallback } from "../lib/jobs/with_fallback.ts";
import { estimateLayerParams } from "../lib/params/estimate_params.ts";
import { rateBlock } from "../lib/params/rate_block.ts";
import { BINS, type QualitySums } from "../lib/types.ts";
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

const SHAPES: Record<string, SliceShape> = {
  "one row": { rows: 1, columns: 64 },
  "blocks": { rows: 40, columns: 128, blockColumns: 32 },
  "17 columns": { rows: 33, columns: 17 },
  "1000 columns": { rows: 12, columns: 1000 },
  "more blocks than are counted at a time": { rows: 3, columns: 70 * 16, blockColumns: 16 },
};

/** What the rating of a slice has to be: counted here, by each weight's upper 16 bits. */
function expectedRatings(slice: TestSlice, { lo, hi }: RatedSlice) {
  const { dtype, columns, blockColumns, bits, source } = slice;
  const width = floatBytes(dtype);
  const view = new DataView(Deno.readFileSync(source.path).buffer, source.begin);
  const blocks = columns / blockColumns;
  const counts = Array.from({ length: blocks }, () => new Uint32Array(BINS));
  for (let i = 0; i < slice.rows * columns; i++) {
    const block = Math.floor((i % columns) / blockColumns);
    counts[block]![view.getUint16((i + 1) * width - 2, true)]!++;
  }
  return counts.map((one, block) =>
    rateBlock(one, { lo: lo[block]!, hi: hi[block]! }, dtype, {
      bits,
      scaleDtype: dtype,
      symmetric: false,
    })
  );
}

function assertNear(found: QualitySums, expected: QualitySums, what: string): void {
  for (const key of ["signal", "decoded", "error"] as const) {
    const distance = Math.abs(found[key] - expected[key]);
    assert.ok(distance <= 1e-6 * expected[key], `${what} ${key}: ${found[key]}, ${expected[key]}`);
  }
}

/** Rates a slice and closes the backend; the codes' file must stay as it is. */
async function rateWith(
  open: () => Promise<Backend>,
  slice: TestSlice,
  read: () => Uint8Array,
): Promise<RatedSlice> {
  const before = read();
  const backend = await open();
  try {
    return await backend.run({ verb: "rate", ...jobOf(slice) });
  } finally {
    backend.close();
    assert.deepEqual(read(), before);
  }
}

/** Checks the ratings of a slice through some backends, and their sums by what `quantize` reports. */
async function compare(
  shape: SliceShape,
  backends: Record<string, () => Promise<Backend>>,
): Promise<void> {
  await withSlice(shape, async (slice, read) => {
    const reference = await OPEN["the reference"]!();
    const { lo, hi, sums } = await reference.run({ verb: "quantize", ...jobOf(slice) });
    reference.close();
    let ratings: RatedSlice["ratings"] | undefined;
    for (const [name, open] of Object.entries(backends)) {
      const found = await rateWith(open, slice, read);
      assert.deepEqual(found.lo, lo, name);
      assert.deepEqual(found.hi, hi, name);
      ratings ??= expectedRatings(slice, found);
      assert.deepEqual(found.ratings, ratings, name);
      assertNear(found.sums!, sums!, name);
    }
  });
}

for (const [shapeName, shape] of Object.entries(SHAPES)) {
  for (const dtype of DTYPES) {
    withAdapter.test(`every backend rates a slice of ${shapeName} of ${dtype} alike`, async () => {
      for (const bits of [2, 4, 8] as const) await compare({ ...shape, dtype, bits }, OPEN);
    });
  }
}

withAdapter.test("every backend rates a slice cut into tiles alike, also inside a row", async () => {
  for (const dtype of DTYPES) {
    const tileBytes = 300 * floatBytes(dtype);
    const shapes: SliceShape[] = [
      { rows: 33, columns: 17 },
      { rows: 5, columns: 1000 },
      { rows: 3, columns: 70 * 16, blockColumns: 16 },
      { rows: 20, columns: 96, blockColumns: 48 },
    ];
    for (const shape of shapes) {
      await compare({ ...shape, dtype }, await openSmallTiles(tileBytes));
    }
  }
});

withAdapter.test("every backend rates a slice alike that is too large to be kept in memory", async () => {
  const columns = 4096;
  for (const dtype of DTYPES) {
    const rows = SLICE_BYTES / (columns * floatBytes(dtype)) + 5;
    await compare({ rows, columns, blockColumns: columns / 64, dtype }, OPEN);
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

withAdapter.test("every backend rates no all-zero block, and gives the energies of the others", async () => {
  await withSecondBlock(async (slice, read, fill) => {
    const reference = await OPEN["the reference"]!();
    for (const zero of [0, 0x8000, 0x0001, 0x807f]) { // of both signs, and subnormal
      fill(zero);
      const { lo, hi } = await reference.run({ verb: "measure", slice });
      const params = { scale: Float32Array.of((hi[0]! - lo[0]!) / 15, 1) };
      for (const [name, open] of Object.entries(OPEN)) {
        const { ratings, sums } = await rateWith(open, slice, read);
        assert.equal(ratings.length, 2, name);
        assert.ok(ratings[0]!.error.length > 0, name);
        assert.equal(ratings[1], undefined, name);
        params.scale[0] = ratings[0]!.scale.at(-1)!;
        const zero_point = Uint8Array.of(ratings[0]!.zero_point.at(-1)!, 7);
        const target = { ...slice.target, path: await Deno.makeTempFile() };
        Deno.truncateSync(target.path, read().length);
        const expected = await reference.run({
          verb: "encode",
          ...jobOf({ ...slice, target }),
          params: { ...params, zero_point },
        });
        Deno.removeSync(target.path);
        assertNear(sums!, expected, name);
      }
    }
    reference.close();
  });
});

withAdapter.test("every backend rates nothing where a block holds a NaN or an infinity, or is too wide", async () => {
  await withSecondBlock(async (slice, read, fill) => {
    for (const word of [0x7fc0, 0xff80, 0x7f00]) {
      fill(word);
      for (const [name, open] of Object.entries(OPEN)) {
        const { hi, ratings, sums } = await rateWith(open, slice, read);
        assert.ok(!(hi[1]! <= 2 ** 126) || word === 0xff80, name);
        assert.deepEqual([ratings, sums], [[], undefined], `${name} ${word}`);
      }
    }
  });
});

Deno.test("rate() and encode() tell of one half of the source each, in whole bytes", async () => {
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
      const { lo } = await backend.run({ verb: "rate", ...jobOf(slice) });
      assert.ok(told.length > 1 && told.every(Number.isInteger));
      assert.equal(total(), half);
      const params = { scale: lo.map(() => 1), zero_point: new Uint8Array(lo.length) };
      await backend.run({ verb: "encode", ...jobOf(slice), params });
      assert.equal(total(), half);
      backend.close();
    });
  }
});

Deno.test("a slice is rated in the dtype that its scales are stored in, whatever its own is", async () => {
  await withSlice({ rows: 40, columns: 64, dtype: "BF16" }, async (slice) => {
    const backend = await openBackend("reference", 0, silent);
    const job = { verb: "rate", ...jobOf(slice) } as const;
    const found = await backend.run({ ...job, scaleDtype: "F32" });
    const same = await backend.run(job);
    backend.close();
    const { lo, hi } = found;
    const scheme = { bits: slice.bits, scaleDtype: "F32", symmetric: false } as const;
    const [own] = estimateLayerParams(lo, hi, 1, scheme).scale;
    assert.equal(found.ratings[0]!.scale.at(-1), own);
    assert.notEqual(same.ratings[0]!.scale.at(-1), own);
    // Candidates make codes by the same scales, and store them as exactly as they can.
    assert.equal(found.ratings[0]!.code_scale[0], same.ratings[0]!.code_scale[0]);
    assert.notEqual(found.ratings[0]!.scale[0], same.ratings[0]!.scale[0]);
  });
});

withAdapter.test("withFallback() rates with wasm when the device is lost", async () => {
  await withSlice({ rows: 40, columns: 64 }, async (slice, read) => {
    const expected = await rateWith(OPEN["the reference"]!, slice, read);
    const device = await openDevice((await probeWebGpu())!);
    const backend = withFallback(
      createWebGpu(device, "solo", "test", silent.onBytes),
      () => openBackend("wasm", 0, silent),
      () => {},
    );
    const first = backend.run({ verb: "rate", ...jobOf(slice) });
    device.destroy();
    for (
      const { ratings } of await Promise.all([
        first,
        backend.run({ verb: "rate", ...jobOf(slice) }),
      ])
    ) {
      assert.deepEqual(ratings, expected.ratings);
    }
    assert.equal(backend.name, "wasm");
    backend.close();
  });
});

function rateJob(slice: TestSlice, rows: number) {
  return { verb: "rate", ...jobOf({ ...slice, rows, blockRows: rows }) } as const;
}

withAdapter.test("several slices are rated at once without a count going astray", async () => {
  await withSlice({ rows: 16, columns: 256, blockColumns: 64, value: noise(23) }, async (slice) => {
    const rows = [1, 16, 5, 9, 2, 12];
    const reference = await OPEN["the reference"]!();
    const expected = [];
    for (const count of rows) {
      expected.push((await reference.run(rateJob(slice, count))).ratings);
    }
    reference.close();
    for (const [name, open] of Object.entries(OPEN)) {
      const backend = await open();
      const found = await Promise.all(rows.map((count) => backend.run(rateJob(slice, count))));
      backend.close();
      assert.deepEqual(found.map(({ ratings }) => ratings), expected, name);
    }
  });
});
