/** Encoding with scales that are not the stored ones, and with blocks of each row's own. */

import assert from "node:assert/strict";
import type { Backend } from "../lib/jobs/backend.ts";
import type { BlockParams } from "../lib/compute/kernels.ts";
import { createInline } from "../lib/jobs/inline.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { packedBytes } from "../lib/compute/pack_codes.ts";
import { decodeFloats, floatBytes } from "../lib/safetensors/dtype.ts";
import type { Bits, QualitySums } from "../lib/types.ts";
import { withAdapter } from "./find_adapter.ts";
import { noise } from "./make_model.ts";
import { DTYPES } from "./open_contenders.ts";
import {
  jobOf,
  OPEN,
  openSmallTiles,
  type SliceShape,
  type TestSlice,
  withSlice,
} from "./open_slice.ts";

/** The nearest integer, of two the even one. */
function nearest(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** What a slice has to become: one weight after the other, each code put at its place in the row. */
function encodeDirectly(
  slice: TestSlice,
  { scale, zero_point, code_scale = scale }: BlockParams,
): { bytes: Uint8Array; sums: QualitySums } {
  const { rows, columns, blockColumns, bits, dtype, source } = slice;
  const values = new Float32Array(rows * columns);
  decodeFloats(Deno.readFileSync(source.path).subarray(source.begin), dtype, values);
  const rowBytes = packedBytes(columns, bits);
  const bytes = new Uint8Array(rows * rowBytes);
  const sums = { signal: 0, decoded: 0, error: 0 };
  for (const [i, x] of values.entries()) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const above = Math.floor(row / slice.blockRows) * (columns / blockColumns);
    const block = above + Math.floor(column / blockColumns);
    const inverse = Math.fround(1 / code_scale[block]!);
    const code = nearest(Math.fround(x * inverse)) + zero_point[block]!;
    const clamped = Math.min(Math.max(code, 0), 2 ** bits - 1);
    const bit = column * bits;
    bytes[row * rowBytes + (bit >> 3)]! |= clamped << (bit & 7);
    const value = (clamped - zero_point[block]!) * scale[block]!;
    sums.signal += x * x;
    sums.decoded += value * value;
    sums.error += (x - value) ** 2;
  }
  return { bytes, sums };
}

/** Parameters that differ from block to block, some of which clip; stored scales up to 20 % off. */
function paramsOf(blocks: number, bits: Bits, isCodeScale: boolean): BlockParams {
  const vary = (seed: number) => (_: unknown, i: number) => noise(seed)(i);
  const sign = Array.from({ length: blocks }, vary(41));
  const code = Float32Array.from(sign, (share) => (2 + share) / 2 ** bits);
  return {
    scale: code.map((scale, i) => scale * (isCodeScale ? 1 + noise(42)(i) / 5 : 1)),
    zero_point: Uint8Array.from(
      { length: blocks },
      (_, i) => Math.round((2 ** bits - 1) * (0.5 + noise(43)(i) / 4)),
    ),
    ...isCodeScale && { code_scale: code },
  };
}

/** Encodes with each backend and compares bytes and energies. */
async function compare(
  shape: SliceShape,
  ownRows: boolean,
  isCodeScale: boolean,
  backends: Record<string, () => Promise<Backend>>,
): Promise<void> {
  await withSlice(shape, async (plain, read) => {
    const slice = ownRows ? { ...plain, blockRows: 1 } : plain;
    const across = slice.columns / slice.blockColumns;
    const params = paramsOf(ownRows ? slice.rows * across : across, slice.bits, isCodeScale);
    const expected = encodeDirectly(slice, params);
    for (const [name, open] of Object.entries(backends)) {
      Deno.writeFileSync(slice.target.path, new Uint8Array(7 + expected.bytes.length));
      const backend = await open();
      const [sums] = await backend.run({ verb: "encode", ...jobOf(slice), params });
      backend.close();
      const found = read();
      assert.deepEqual([...found.subarray(0, 7)], [0, 0, 0, 0, 0, 0, 0]);
      assert.equal(found.length, 7 + expected.bytes.length);
      const different = expected.bytes.findIndex((byte, i) => byte !== found[7 + i]);
      assert.equal(different, -1, `${name}: byte ${different}`);
      for (const key of ["signal", "decoded", "error"] as const) {
        const distance = Math.abs(sums![key] - expected.sums[key]);
        assert.ok(
          distance <= 1e-6 * expected.sums[key],
          `${name} ${key}: ${sums![key]}, expected ${expected.sums[key]}`,
        );
      }
    }
  });
}

const SHAPES: SliceShape[] = [
  { rows: 40, columns: 128, blockColumns: 32 },
  { rows: 40, columns: 64 },
  { rows: 5, columns: 37 },
  { rows: 1, columns: 1000 },
];

for (const dtype of DTYPES) {
  for (const bits of [2, 4, 8] as const) {
    withAdapter.test(`every backend encodes ${dtype} to INT${bits} as computed directly, with stored and own scales, with shared and own rows`, async () => {
      for (const shape of SHAPES) {
        for (const ownRows of [false, true]) {
          for (const isCodeScale of [false, true]) {
            await compare({ ...shape, dtype, bits }, ownRows, isCodeScale, OPEN);
          }
        }
      }
    });
  }

  withAdapter.test(`every backend encodes ${dtype} tiles cut anywhere as computed directly`, async () => {
    const backends = await openSmallTiles(300 * floatBytes(dtype));
    const shapes: SliceShape[] = [
      { rows: 7, columns: 1000 },
      { rows: 3, columns: 17 * 48, blockColumns: 48 },
      { rows: 40, columns: 96, blockColumns: 32 },
      { rows: 33, columns: 37 },
    ];
    for (const shape of shapes) {
      for (const ownRows of [false, true]) {
        await compare({ ...shape, dtype }, ownRows, true, backends);
      }
    }
  });
}

for (const dtype of DTYPES) {
  withAdapter.test(`every backend encodes rows of ${dtype} anew, and tells their energies before and after`, async () => {
    const shape = { rows: 9, columns: 96, blockColumns: 32, dtype };
    const all = { ...OPEN, ...await openSmallTiles(300 * floatBytes(dtype)) };
    await withSlice(shape, async (plain, read) => {
      const slice = { ...plain, blockRows: 1 };
      const after = paramsOf(27, slice.bits, false);
      const before = { ...after, scale: after.scale.map((scale) => scale * 1.25) };
      const expected = encodeDirectly(slice, after);
      const old = encodeDirectly(slice, before).sums;
      for (const [name, open] of Object.entries(all)) {
        Deno.writeFileSync(slice.target.path, new Uint8Array(7 + expected.bytes.length));
        const backend = await open();
        const found = await backend.run({ verb: "reencode", ...jobOf(slice), before, after });
        backend.close();
        assert.deepEqual(read().slice(7), expected.bytes, name);
        for (const key of ["signal", "decoded", "error"] as const) {
          assert.ok(Math.abs(found.before[key] - old[key]) <= 1e-6 * old[key], `${name} ${key}`);
          const off = Math.abs(found.after[key] - expected.sums[key]);
          assert.ok(off <= 1e-6 * expected.sums[key], `${name} ${key}`);
        }
      }
    });
  });
}

withAdapter.test("encode() gives the same bytes when the energies are known", async () => {
  await withSlice({ rows: 40, columns: 64 }, async (slice, read) => {
    const params = paramsOf(1, slice.bits, true);
    const expected = encodeDirectly(slice, params);
    for (const [name, open] of Object.entries(OPEN)) {
      Deno.writeFileSync(slice.target.path, new Uint8Array(7 + expected.bytes.length));
      const backend = await open();
      await backend.run({ verb: "encode", ...jobOf(slice), params, isKnown: true });
      backend.close();
      assert.deepEqual(read().slice(7), expected.bytes, name);
    }
  });
});

Deno.test("a job tells of no progress for rows that are part of another slice's work", async () => {
  await withSlice({ rows: 5, columns: 64 }, async (slice) => {
    let told = 0;
    const backend = createInline("reference", "", createReferenceKernels(), (bytes) => {
      told += bytes;
    });
    const params = paramsOf(5, 4, true);
    const job = jobOf({ ...slice, blockRows: 1 });
    await backend.run({ verb: "reencode", ...job, before: params, after: params });
    assert.equal(told, 0);
    await backend.run({ verb: "encode", ...jobOf(slice), params: paramsOf(1, 4, true) });
    assert.equal(told, 5 * 64);
    backend.close();
  });
});
