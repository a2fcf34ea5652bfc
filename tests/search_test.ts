/** The search of a block's parameters at 2 bits: against the rule in double precision, and the same on every backend. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type {
  FoundParams,
  Kernels,
  OwnParams,
  SearchScheme,
  Tile,
} from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { estimateBlocks } from "../lib/params/estimate_params.ts";
import {
  encodeFloats,
  type FloatDtype,
  roundScale,
  roundToDtype,
} from "../lib/safetensors/dtype.ts";
import { noise } from "./make_model.ts";
import { DTYPES, openContenders, tileOf } from "./open_contenders.ts";

const reference = createReferenceKernels();
const CONTENDERS = await openContenders(1);

/** Weights as a tile has them. */
function bytesOf({ rows, columns, dtype }: Tile, value: (index: number) => number): Uint8Array {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => roundToDtype(value(i), dtype),
  );
  return encodeFloats(values, dtype);
}

/** Parameters with zero points of their own, whose scales are stored in a dtype. */
function asymmetric(scaleDtype: FloatDtype): SearchScheme {
  return { scaleDtype, symmetric: false };
}

/** Parameters whose zero point is the middle code, and whose scales are stored in a dtype. */
function symmetric(scaleDtype: FloatDtype): SearchScheme {
  return { scaleDtype, symmetric: true };
}

/** The parameters of the blocks' ranges. */
function ownParams(
  bytes: Uint8Array,
  tile: Tile,
  scheme: SearchScheme = asymmetric(tile.dtype),
): OwnParams {
  const ranges = reference.range(bytes, tile);
  const blocks = ranges.lo.length;
  const own = {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    largest: new Float32Array(blocks),
  };
  assert.ok(estimateBlocks(ranges, { bits: 2, ...scheme }, own));
  return own;
}

/** About normal. */
function bell(seed: number): (index: number) => number {
  const sample = noise(seed);
  return (i) => sample(4 * i) + sample(4 * i + 1) + sample(4 * i + 2) + sample(4 * i + 3);
}

async function assertSame(lane: Kernels, bytes: Uint8Array, tile: Tile): Promise<void> {
  for (const scheme of [asymmetric(tile.dtype), symmetric(tile.dtype)]) {
    const own = ownParams(bytes, tile, scheme);
    const expected = reference.search(bytes, tile, own, scheme);
    const found = await lane.search(bytes, tile, own, scheme);
    for (const key of ["scale", "zero_point", "code_scale"] as const) {
      assert.deepEqual([...found[key]], [...expected[key]], `${key}, ${scheme.symmetric}`);
    }
    assert.ok(found.code_scale.every((scale) => scale >= 2 ** -126), "a scale is no normal F32");
    if (scheme.symmetric) assert.ok(found.zero_point.every((zeroPoint) => zeroPoint === 2));
  }
}

const KINDS: Record<string, (index: number) => number> = {
  "a bell": (i) => bell(1)(i) / 50,
  "positive": (i) => Math.abs(bell(2)(i)),
  "negative": (i) => -3 * Math.abs(bell(3)(i)),
  "outliers": (i) => i % 53 === 9 ? 12 * bell(4)(i) : bell(4)(i) / 20,
  "mostly zeros": (i) => i % 3 === 0 ? 0 : bell(5)(i) / 1000,
  "one value but for one": (i) => i % 97 === 0 ? 2 : -1,
  "huge": (i) => 2 ** 13 * bell(6)(i),
  "near the least scale of F16": (i) => 2 ** -22 * bell(7)(i),
  "of F16 below its scales": (i) => 2 ** -24 * Math.round(bell(7)(i)),
  "next to subnormal": (i) => 2 ** -125 * bell(13)(i),
};

for (const { name, test, lanes, numRuns } of CONTENDERS) {
  test(`${name} finds the parameters that the plain search finds`, async (t) => {
    for (const dtype of DTYPES) {
      for (const blockColumns of [16, 48, 64, 112, 128, 1000]) {
        await t.step(`${dtype}, blocks of ${blockColumns}`, async () => {
          for (const [kind, value] of Object.entries(KINDS)) {
            const tile = tileOf(dtype, [3, blockColumns * 2, 1, blockColumns]);
            try {
              await assertSame(lanes[0]!, bytesOf(tile, value), tile);
            } catch (error) {
              throw new Error(`${kind}: ${error instanceof Error ? error.message : error}`);
            }
          }
        });
      }
    }
  });

  test(`${name} finds them in random blocks of any width and magnitude`, async () => {
    const cases = fc.record({
      dtype: fc.constantFrom(...DTYPES),
      columns: fc.integer({ min: 1, max: 400 }),
      rows: fc.integer({ min: 1, max: 4 }),
      seed: fc.integer(),
      magnitude: fc.integer({ min: -13, max: 13 }),
      offset: fc.double({ min: -2, max: 2, noNaN: true }),
      power: fc.constantFrom(1, 3, 9),
    });
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const tile = tileOf(c.dtype, [c.rows, c.columns, 1, c.columns]);
        const value = bell(c.seed);
        const bytes = bytesOf(
          tile,
          (i) => 2 ** c.magnitude * (value(i) ** c.power / 3 ** c.power + c.offset),
        );
        await assertSame(lanes[0]!, bytes, tile);
      }),
      { numRuns, seed: 5 },
    );
  });
}

/** The error of a block and the candidate it comes from: every one of the rule, in double precision. */
function searchExactly(
  x: Float32Array,
  own: number,
  dtype: FloatDtype,
  zeroPoints: readonly number[] = [0, 1, 2, 3],
): number {
  let least = Infinity;
  const signal = x.reduce((sum, value) => sum + value ** 2, 0);
  for (let k = -12; k <= 1; k++) {
    const code = Math.fround(own * 2 ** (k / 8));
    for (const zeroPoint of zeroPoints) {
      const steps = Array.from(x, (value) => stepsOf(value, code, zeroPoint));
      const product = x.reduce((sum, value, i) => sum + value * steps[i]!, 0);
      if (!(product > 0)) continue;
      const scale = roundScale(signal / product, dtype);
      least = Math.min(least, sumCubes(x, steps, scale));
    }
  }
  return least;
}

function stepsOf(value: number, code: number, zeroPoint: number): number {
  return Math.min(Math.max(Math.round(value / code), -zeroPoint), 3 - zeroPoint);
}

function sumCubes(x: Float32Array, steps: readonly number[], scale: number): number {
  return x.reduce((sum, value, i) => sum + Math.abs(value - steps[i]! * scale) ** 3, 0);
}

/** The error of what was found, in double precision. */
function errorOf(x: Float32Array, found: FoundParams, block: number): number {
  const [code, zeroPoint] = [found.code_scale[block]!, found.zero_point[block]!];
  const steps = Array.from(x, (value) => stepsOf(value, code, zeroPoint));
  return sumCubes(x, steps, found.scale[block]!);
}

/** Columns of a block, and how much more than the least error blocks may lose: on average, and at most. */
const EXCESS = [[16, 0.002, 0.1], [32, 0.001, 0.05], [64, 0.003, 0.25], [128, 0.002, 0.1], [
  1024,
  0.002,
  0.02,
]] as const;

for (const [columns, mean, most] of EXCESS) {
  Deno.test(`a search in blocks of ${columns} loses next to nothing against the rule in double precision`, () => {
    const rows = Math.min(400, 2 ** 15 / columns);
    const tile = tileOf("BF16", [rows, columns, 1, columns]);
    const weights = Float32Array.from(
      { length: rows * columns },
      (_, i) => roundToDtype(bell(8)(i) / 40, "BF16"),
    );
    const own = ownParams(encodeFloats(weights, "BF16"), tile);
    const found = reference.search(
      encodeFloats(weights, "BF16"),
      tile,
      own,
      asymmetric("BF16"),
    );
    const excess = Array.from({ length: rows }, (_, row) => {
      const x = weights.subarray(row * columns, (row + 1) * columns);
      return errorOf(x, found, row) / searchExactly(x, own.scale[row]!, "BF16") - 1;
    });
    assert.ok(excess.every((share) => share > -1e-9), `${Math.min(...excess)}`);
    assert.ok(Math.max(...excess) <= most, `${Math.max(...excess)} at most`);
    const average = excess.reduce((sum, share) => sum + share, 0) / rows;
    assert.ok(average <= mean, `${average} on average`);
  });
}

Deno.test("a search gives the scales of its grid, and stores what keeps a block's energy", () => {
  const tile = tileOf("BF16", [40, 128, 1, 128]);
  const value = bell(9);
  const weights = Float32Array.from({ length: 40 * 128 }, (_, i) => roundToDtype(value(i), "BF16"));
  const bytes = encodeFloats(weights, "BF16");
  const own = ownParams(bytes, tile);
  const found = reference.search(bytes, tile, own, asymmetric("BF16"));
  for (let row = 0; row < 40; row++) {
    const k = 8 * Math.log2(found.code_scale[row]! / own.scale[row]!);
    assert.ok(Math.abs(k - Math.round(k)) < 1e-5 && k > -12.1 && k < 1.1, `${k}`);
    const x = weights.subarray(row * 128, (row + 1) * 128);
    const [code, zeroPoint] = [found.code_scale[row]!, found.zero_point[row]!];
    const signal = x.reduce((sum, weight) => sum + weight ** 2, 0);
    const product = x.reduce((sum, weight) => sum + weight * stepsOf(weight, code, zeroPoint), 0);
    // Rounded to the 8 bits of BF16; a weight between two codes may count for either.
    assert.ok(Math.abs(found.scale[row]! * product / signal - 1) < 0.015, `row ${row}`);
    assert.equal(roundToDtype(found.scale[row]!, "BF16"), found.scale[row]);
  }
});

Deno.test("a symmetric search finds the least error that its middle zero point allows", () => {
  const tile = tileOf("F32", [40, 128, 1, 128]);
  const value = bell(14);
  const weights = Float32Array.from({ length: 40 * 128 }, (_, i) => value(i));
  const bytes = encodeFloats(weights, "F32");
  const own = ownParams(bytes, tile, symmetric("F32"));
  assert.ok(own.zero_point.every((zeroPoint) => zeroPoint === 2));
  const found = reference.search(bytes, tile, own, symmetric("F32"));
  const excess = Array.from({ length: 40 }, (_, row) => {
    const x = weights.subarray(row * 128, (row + 1) * 128);
    assert.equal(found.zero_point[row], 2);
    return errorOf(x, found, row) / searchExactly(x, own.scale[row]!, "F32", [2]) - 1;
  });
  // The search counts in units of the largest weight / 2^14.
  assert.ok(excess.every((share) => share > -1e-4), `${Math.min(...excess)}`);
  assert.ok(Math.max(...excess) <= 0.1, `${Math.max(...excess)} at most`);
  const average = excess.reduce((sum, share) => sum + share, 0) / excess.length;
  assert.ok(average <= 0.005, `${average} on average`);
  // Elsewhere than at the range: clipping is worth something.
  assert.ok(found.code_scale.some((scale, row) => scale < own.scale[row]! * 0.8));
});

Deno.test("a search takes the zero point that one-sided weights need", () => {
  const tile = tileOf("F32", [2, 64, 1, 64]);
  const weights = Float32Array.from(
    { length: 128 },
    (_, i) => (i < 64 ? 1 : -1) * (i % 64 + 1) / 64,
  );
  const bytes = encodeFloats(weights, "F32");
  const { zero_point, scale } = reference.search(
    bytes,
    tile,
    ownParams(bytes, tile),
    asymmetric("F32"),
  );
  assert.deepEqual([...zero_point], [0, 3]);
  assert.equal(scale[0], scale[1]);
});

Deno.test("a search leaves blocks of nothing but zeros, and takes them for no others", () => {
  for (const kernels of [reference, createWasmKernels()]) {
    const tile = tileOf("BF16", [1, 48, 1, 16]);
    const bytes = bytesOf(tile, (i) => i >= 16 && i < 32 ? 0 : bell(10)(i));
    const own = ownParams(bytes, tile);
    assert.equal(own.largest[1], 0);
    const found = kernels.search(bytes, tile, own, asymmetric("BF16"));
    assert.deepEqual([found.scale[1], found.zero_point[1], found.code_scale[1]], [1, 0, 1]);
    assert.notEqual(found.code_scale[0], own.scale[0]);
    assert.notEqual(found.code_scale[2], own.scale[2]);
  }
});

Deno.test("a search rounds to the dtype of the scales, not of the weights", () => {
  const tile = tileOf("F32", [4, 64, 1, 64]);
  const bytes = bytesOf(tile, bell(11));
  for (const dtype of DTYPES) {
    const own = ownParams(bytes, tile, asymmetric(dtype));
    const found = reference.search(bytes, tile, own, asymmetric(dtype));
    const wasm = createWasmKernels().search(bytes, tile, own, asymmetric(dtype));
    assert.deepEqual([...wasm.scale], [...found.scale]);
    for (const scale of found.scale) assert.equal(roundToDtype(scale, dtype), scale);
    assert.equal(
      [...found.scale].every((scale) => roundToDtype(scale, "BF16") === scale),
      dtype === "BF16",
    );
  }
});

Deno.test("wasm searches what lies in its own input, and blocks wider than a tile of a megabyte", () => {
  const kernels = createWasmKernels();
  const tile = tileOf("BF16", [1, 600_000, 1, 600_000]);
  const bytes = bytesOf(tile, bell(12));
  kernels.input(bytes.length).set(bytes);
  const own = ownParams(bytes, tile);
  const found = kernels.search(kernels.input(bytes.length), tile, own, asymmetric("BF16"));
  const expected = reference.search(bytes, tile, own, asymmetric("BF16"));
  assert.deepEqual([...found.scale], [...expected.scale]);
  assert.deepEqual([...found.code_scale], [...expected.code_scale]);
});
