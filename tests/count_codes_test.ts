/** Where weights lie among the codes of their blocks, as the page shows it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings } from "../mod.ts";
import { CODE_BINS, codeAxis } from "../lib/types.ts";
import { interceptCalls } from "./fail_calls.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { withAdapter } from "./find_adapter.ts";
import { OPEN, type TestSlice, withSlice } from "./open_slice.ts";
import { floatsOf, readTensors } from "./stored_tensors.ts";

Deno.test("codeAxis() leaves an eighth of all codes on both sides", () => {
  assert.deepEqual(codeAxis(2), { from: -1, width: 5 / 64 });
  assert.deepEqual(codeAxis(4), { from: -2.5, width: 20 / 64 });
  assert.deepEqual(codeAxis(8), { from: -32.5, width: 320 / 64 });
});

/** The bins that are filled, and with how many. */
const filled = (counts: readonly number[]) =>
  Object.fromEntries(counts.map((count, bin) => [bin, count]).filter(([, count]) => count! > 0));

/** Two rows of two blocks; the second block of the second row is scaled by 8. */
const VALUES = [
  ...[0, 1, 2, -1, ...Array<number>(12).fill(0.5)],
  ...[9, -9, 1, 0, ...Array<number>(12).fill(1)],
  ...Array<number>(16).fill(-0.25),
  ...[8, 16, -8, 0, ...Array<number>(12).fill(4)],
];

for (const name of ["the reference", "wasm in workers"]) {
  Deno.test(`a weight is counted at x / scale + zero_point by ${name}`, () =>
    withSlice(
      { rows: 2, columns: 32, blockColumns: 16, bits: 2, value: (i) => VALUES[i]! },
      async (slice: TestSlice) => {
        const backend = await OPEN[name]!();
        try {
          const counts = await backend.run({
            verb: "countCodes",
            slice,
            bits: 2,
            rows: [0, 1],
            scale: Float32Array.of(1, 1, 1, 8),
            zero_point: Uint8Array.of(1, 2, 0, 1),
          });
          const bin = (code: number) => Math.floor((code + 1) / (5 / 64));
          const expected = new Array<number>(CODE_BINS).fill(0);
          for (const [code, count] of [[2, 1], [3, 1], [0, 1], [1.5, 12]] as const) {
            expected[bin(code)]! += count;
          }
          // Beyond the ends of the axis is its first or last bin; exact zeros are not counted.
          expected[CODE_BINS - 1]! += 1;
          expected[0]! += 1;
          expected[bin(3)]! += 13;
          expected[bin(-0.25)]! += 16;
          for (const [code, count] of [[2, 1], [3, 1], [0, 1], [1.5, 12]] as const) {
            expected[bin(code)]! += count;
          }
          assert.deepEqual(filled(counts), filled(expected));
        } finally {
          backend.close();
        }
      },
    ));
}

Deno.test("some rows of a slice are counted where not all are asked for", () =>
  withSlice(
    { rows: 5, columns: 16, bits: 4, value: (i) => 1 + Math.floor(i / 16) },
    async (slice) => {
      const backend = await OPEN["wasm on this thread"]!();
      try {
        const counts = await backend.run({
          verb: "countCodes",
          slice,
          bits: 4,
          rows: [1, 4],
          scale: Float32Array.of(1, 1),
          zero_point: Uint8Array.of(0, 3),
        });
        const bin = (code: number) => Math.floor((code + 2.5) / (20 / 64));
        assert.deepEqual(filled(counts), { [bin(2)]: 16, [bin(8)]: 16 });
      } finally {
        backend.close();
      }
    },
  ));

Deno.test("rows of a sample that lie near each other are read together, others alone", () =>
  withSlice(
    { rows: 45, columns: 2048, bits: 4, value: (i) => 1 + Math.floor(i / 2048) % 8 },
    async (slice) => {
      const backend = await OPEN["wasm on this thread"]!();
      const lengths: number[] = [];
      const restore = interceptCalls(({ name, bytes }) => {
        if (name === "file.readSync" || name === "file.read") lengths.push(bytes!.length);
      });
      try {
        const counts = await backend.run({
          verb: "countCodes",
          slice,
          bits: 4,
          rows: [1, 3, 16, 17, 44],
          scale: new Float32Array(5).fill(1),
          zero_point: new Uint8Array(5),
        });
        const bin = (code: number) => Math.floor((code + 2.5) / (20 / 64));
        const expected: Record<number, number> = {};
        for (const row of [1, 3, 16, 17, 44]) {
          const code = 1 + row % 8;
          expected[bin(code)] = (expected[bin(code)] ?? 0) + 2048;
        }
        assert.deepEqual(filled(counts), expected);
        // 16 rows of BF16 are 64 KiB.
        assert.deepEqual(lengths, [16 * 4096, 4096, 4096]);
      } finally {
        restore();
        backend.close();
      }
    },
  ));

const ROWS = 200;
const COLUMNS = 64;
const value = noise(5);

/** What the histogram of a layer should be, from the scales and zero points of its checkpoint. */
function countStored(output: string, bits: 2 | 4 | 8): number[] {
  const tensors = readTensors(join(output, "model.safetensors"));
  const scales = tensors.get("fc.weight_scale")!;
  const zeros = tensors.get("fc.weight_zero_point")!;
  const [, blocks] = scales.shape as [number, number];
  const scale = floatsOf(scales);
  const words = new Uint32Array(zeros.data.slice().buffer);
  const perWord = 32 / bits;
  const { from, width } = codeAxis(bits);
  const counts = new Array<number>(CODE_BINS).fill(0);
  for (let s = 0; s < 64; s++) {
    const row = Math.floor((s + 0.5) * ROWS / 64);
    for (let c = 0; c < COLUMNS; c++) {
      const block = Math.floor(c / (COLUMNS / blocks));
      // Zero points are packed along the rows.
      const word = words[Math.floor(row / perWord) * blocks + block]!;
      const zero = (word >>> (bits * (row % perWord))) & (2 ** bits - 1);
      const x = Math.fround(value(row * COLUMNS + c));
      const bin = Math.floor((x / scale[row * blocks + block]! + zero - from) / width);
      counts[Math.min(CODE_BINS - 1, Math.max(0, bin))]! += 1;
    }
  }
  return counts;
}

const RUNS: [string, Partial<QuantizeSettings>][] = [
  ["by rows", { groupSize: 16 }],
  ["by rows, searched", { groupSize: 32, phase: "optimize" }],
  ["by rows, coupled", { groupSize: 16, phase: "optimize", markovWeight: 0.2 }],
  ["by rows, smoothed", { groupSize: 16, bits: 4, phase: "smooth", smoothingWindow: 4 }],
  ["by slices", { granularity: "slice", bits: 4 }],
  ["by slices of blocks", { granularity: "slice", groupSize: 16, timeGroups: 3 }],
  ["by slices, smoothed", { granularity: "slice", phase: "smooth", bits: 8 }],
];

for (const [what, settings] of RUNS) {
  Deno.test(`a report has the weights of 64 rows among the codes they are stored with, ${what}`, () =>
    withFiles(
      {
        "model/model.safetensors": encodeFile([matrix("fc.weight", ROWS, COLUMNS, value)]),
      },
      async (root) => {
        const run = async (backend: "auto" | "reference") => {
          const output = join(root, backend);
          const all = { ...DEFAULT_SETTINGS, ...settings, backend };
          const { layers } = await quantizeModel(join(root, "model"), output, all);
          return { output, counts: layers[0]!.weight_histogram! };
        };
        const { output, counts } = await run("auto");
        assert.equal(counts.reduce((a, b) => a + b), 64 * COLUMNS);
        assert.deepEqual(counts, countStored(output, settings.bits ?? 2));
        assert.deepEqual((await run("reference")).counts, counts);
      },
    ));
}

withAdapter.test("a GPU counts the same", () =>
  withFiles(
    { "model/model.safetensors": encodeFile([matrix("fc.weight", ROWS, COLUMNS, value)]) },
    async (root) => {
      const output = join(root, "q");
      const all = { ...DEFAULT_SETTINGS, groupSize: 16, backend: "webgpu" } as const;
      const { layers } = await quantizeModel(join(root, "model"), output, all);
      assert.deepEqual(layers[0]!.weight_histogram, countStored(output, 2));
    },
  ));
