/** Histograms of weights: each backend's kernels against a count of its own, equal number for number. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type BlockRun,
  blocksAcross,
  type Kernels,
  MAX_HISTOGRAMS,
  type Tile,
} from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { BINS } from "../lib/types.ts";
import { floatBytes } from "../lib/safetensors/dtype.ts";
import { noise } from "./make_model.ts";
import { type Contender, DTYPES, openContenders, type Shape, tileOf } from "./open_contenders.ts";

const wasmKernels = createWasmKernels();

const referenceKernels = createReferenceKernels();

const CONTENDERS: Contender[] = [
  { name: "the reference", test: Deno.test, lanes: [referenceKernels], numRuns: 200 },
  ...await openContenders(1),
];

/** Shapes by what is hard about them, and which blocks are counted where; all of them unless said. */
const CASES: Record<string, { shape: Shape; run?: BlockRun }> = {
  "one weight": { shape: [1, 1, 1, 1] },
  "one row": { shape: [1, 256, 1, 256] },
  "a whole slice": { shape: [24, 128, 24, 128] },
  "an odd number of columns": { shape: [5, 17, 5, 17] },
  "columns of no power of two": { shape: [3, 1000, 3, 1000] },
  "a block of several pieces": { shape: [3, 20000, 3, 20000] },
  "blocks of several pieces": { shape: [2, 40000, 2, 20000] },
  "blocks of 16": { shape: [6, 96, 6, 16] },
  "blocks of 48": { shape: [4, 144, 4, 48] },
  "blocks of 1024": { shape: [5, 3072, 5, 1024] },
  "as many blocks as there may be": { shape: [3, 16 * MAX_HISTOGRAMS, 3, 16] },
  "some of the blocks": {
    shape: [3, 192, 3, 32],
    run: { first: 2, count: 3, histogram: 7 },
  },
  "the last block of all, counted last": {
    shape: [2, 2048, 2, 1024],
    run: { first: 1, count: 1, histogram: MAX_HISTOGRAMS - 1 },
  },
};

/** Bytes of a tile from random numbers: any bit pattern may come up. */
function randomBytes({ rows, columns, dtype }: Tile, seed: number): Uint8Array {
  const value = noise(seed);
  const length = rows * columns * floatBytes(dtype);
  return Uint8Array.from({ length }, (_, i) => Math.floor(128 + 128 * value(i)));
}

/** The test's own count, one weight after the other. */
function countInto(expected: Uint32Array, bytes: Uint8Array, tile: Tile, run: BlockRun): void {
  const width = floatBytes(tile.dtype);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < tile.rows * tile.columns; i++) {
    const block = Math.floor((i % tile.columns) / tile.blockColumns) - run.first;
    if (block < 0 || block >= run.count) continue;
    const upper = view.getUint16((i + 1) * width - 2, true);
    expected[(run.histogram + block) * BINS + upper]!++;
  }
}

function allOf(tile: Tile): BlockRun {
  return { first: 0, count: blocksAcross(tile), histogram: 0 };
}

/** Counts tiles one after the other into the same histograms, and compares all of those. */
async function compare(
  kernels: Kernels,
  tiles: { bytes: Uint8Array; tile: Tile; run: BlockRun }[],
): Promise<void> {
  const histograms = Math.max(...tiles.map(({ run }) => run.histogram + run.count));
  const expected = new Uint32Array(histograms * BINS);
  await kernels.clearCounts(histograms);
  for (const { bytes, tile, run } of tiles) {
    countInto(expected, bytes, tile, run);
    await kernels.count(bytes, tile, run);
  }
  const found = await kernels.readCounts(histograms);
  assert.equal(found.length, expected.length);
  // Not deepEqual, which takes minutes to describe two long arrays.
  const different = expected.findIndex((count, i) => count !== found[i]);
  const what = `histogram ${Math.floor(different / BINS)}, bin ${different % BINS}`;
  assert.equal(found[different], expected[different], what);
}

for (const { name, test, lanes, numRuns } of CONTENDERS) {
  const kernels = lanes[0]!;

  for (const dtype of DTYPES) {
    test(`${name} counts ${dtype} weights for every shape`, async (t) => {
      for (const [caseName, { shape, run }] of Object.entries(CASES)) {
        await t.step(caseName, async () => {
          const tile = tileOf(dtype, shape);
          await compare(kernels, [
            { bytes: randomBytes(tile, 31), tile, run: run ?? allOf(tile) },
          ]);
        });
      }
    });

    test(`${name} counts every ${dtype} bit pattern by its upper half, whatever it marks`, async () => {
      const tile = tileOf(dtype, [256, 256, 256, 256]);
      const words = dtype === "F32"
        // The lower half is a NaN's payload, or part of a mantissa.
        ? Uint32Array.from({ length: BINS }, (_, i) => (i << 16) | (i * 40503 & 0xffff))
        : Uint16Array.from({ length: BINS }, (_, i) => i);
      const bytes = new Uint8Array(words.buffer);
      await kernels.clearCounts(1);
      await kernels.count(bytes, tile, allOf(tile));
      assert.ok((await kernels.readCounts(1)).every((count) => count === 1));
      await kernels.count(bytes.subarray(0, 128 * 256 * floatBytes(dtype)), {
        ...tile,
        rows: 128,
        blockRows: 128,
      }, allOf(tile));
      const counts = await kernels.readCounts(1);
      assert.ok(counts.every((count, bin) => count === (bin < BINS / 2 ? 2 : 1)));
    });
  }

  test(`${name} counts NaNs, infinities, zeros of both signs and subnormals each by its bits`, async () => {
    const words = [0x7fc0, 0x7fc0, 0xffc1, 0x7f80, 0xff80, 0x0000, 0x8000, 0x8000, 0x8000, 0x0001];
    const tile = tileOf("BF16", [2, 5, 2, 5]);
    await kernels.clearCounts(1);
    await kernels.count(new Uint8Array(Uint16Array.from(words).buffer), tile, allOf(tile));
    const counts = await kernels.readCounts(1);
    const found = [...counts.entries()].filter(([, count]) => count > 0);
    const expected = [[0, 1], [1, 1], [0x7f80, 1], [0x7fc0, 2], [0x8000, 3], [0xff80, 1], [
      0xffc1,
      1,
    ]];
    assert.deepEqual(found, expected);
  });

  test(`${name} counts weights that are all equal`, async () => {
    const tile = tileOf("BF16", [300, 1001, 300, 1001]);
    const bytes = new Uint8Array(300 * 1001 * 2).fill(0x3c);
    await kernels.clearCounts(1);
    await kernels.count(bytes, tile, allOf(tile));
    const counts = await kernels.readCounts(1);
    assert.equal(counts[0x3c3c], 300 * 1001);
    assert.equal(counts.reduce((sum, count) => sum + count), 300 * 1001);
  });

  test(`${name} adds tiles up until its counts are cleared`, async () => {
    const tile = tileOf("F16", [3, 64, 3, 32]);
    const other = tileOf("F32", [2, 33, 2, 33]);
    const tiles = [
      { bytes: randomBytes(tile, 32), tile, run: { first: 0, count: 2, histogram: 0 } },
      { bytes: randomBytes(tile, 33), tile, run: { first: 1, count: 1, histogram: 0 } },
      { bytes: randomBytes(other, 34), tile: other, run: { first: 0, count: 1, histogram: 1 } },
    ];
    for (let again = 0; again < 2; again++) await compare(kernels, tiles);
    await kernels.clearCounts(2);
    assert.ok((await kernels.readCounts(2)).every((count) => count === 0));
  });

  test(`${name} counts what it was given to range, when that is said to be unchanged`, async () => {
    const tile = tileOf("BF16", [7, 90, 7, 90]);
    const bytes = randomBytes(tile, 35);
    kernels.input(bytes.length).set(bytes);
    await kernels.range(kernels.input(bytes.length), tile);
    await kernels.clearCounts(1);
    await kernels.count(kernels.input(bytes.length), tile, allOf(tile), true);
    const found = await kernels.readCounts(1);
    const expected = new Uint32Array(BINS);
    countInto(expected, bytes, tile, allOf(tile));
    assert.equal(expected.findIndex((count, i) => count !== found[i]), -1);
  });

  test(`${name} counts random weights in random shapes`, async () => {
    const cases = fc.record({
      dtype: fc.constantFrom(...DTYPES),
      rows: fc.integer({ min: 1, max: 9 }),
      blocks: fc.integer({ min: 1, max: 5 }),
      blockColumns: fc.constantFrom(16, 32, 48, 128, 1024),
      ragged: fc.option(fc.integer({ min: 1, max: 700 })),
      first: fc.nat(4),
      histogram: fc.nat(3),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const columns = c.ragged ?? c.blocks * c.blockColumns;
        const tile = tileOf(c.dtype, [c.rows, columns, c.rows, c.ragged ?? c.blockColumns]);
        const first = Math.min(c.first, blocksAcross(tile) - 1);
        const run = { first, count: blocksAcross(tile) - first, histogram: c.histogram };
        await compare(kernels, [
          { bytes: randomBytes(tile, c.seed), tile, run },
          { bytes: randomBytes(tile, c.seed + 1), tile, run: allOf(tile) },
        ]);
      }),
      { numRuns, seed: 5 },
    );
  });
}

Deno.test("wasm keeps its counts and its input when its memory grows", async () => {
  const tile = tileOf("BF16", [8, 64, 8, 64]);
  const bytes = randomBytes(tile, 36);
  wasmKernels.input(bytes.length).set(bytes);
  wasmKernels.clearCounts(MAX_HISTOGRAMS);
  const last = { ...allOf(tile), histogram: MAX_HISTOGRAMS - 1 };
  wasmKernels.count(wasmKernels.input(bytes.length), tile, last);
  const kept = wasmKernels.input(40 * 2 ** 20).slice(0, bytes.length);
  assert.deepEqual(kept, bytes);
  const expected = new Uint32Array(MAX_HISTOGRAMS * BINS);
  countInto(expected, bytes, tile, last);
  const found = await wasmKernels.readCounts(MAX_HISTOGRAMS);
  assert.equal(expected.findIndex((count, i) => count !== found[i]), -1);
});
