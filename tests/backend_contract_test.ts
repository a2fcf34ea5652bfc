/** Every backend's kernels against the reference: equal bit for bit, sums within 1e-6 relative. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { blockCount, type BlockParams, type Tile } from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { estimateParams } from "../lib/params/estimate_params.ts";
import { encodeFloats, type FloatDtype, roundToDtype } from "../lib/safetensors/dtype.ts";
import type { Bits } from "../lib/types.ts";
import { noise } from "./make_model.ts";
import { type Contender, DTYPES, openContenders, type Shape, tileOf } from "./open_contenders.ts";

const wasmKernels = createWasmKernels();

const referenceKernels = createReferenceKernels();

const CONTENDERS = await openContenders(11);

const WIDTHS: Bits[] = [2, 4, 8];

/** Shapes by what is hard about them: [rows, columns, blockRows, blockColumns]. */
const SHAPES: Record<string, Shape> = {
  "one weight": [1, 1, 1, 1],
  "a one-row slice": [1, 256, 1, 256],
  "a whole slice": [24, 128, 24, 128],
  "a slice of several flushes of the sums": [40, 1024, 40, 1024],
  "ragged columns": [5, 37, 5, 37],
  "columns of no whole byte": [3, 7, 3, 7],
  "columns of whole words but no whole step": [3, 24, 3, 24],
  "blocks of 16": [6, 96, 6, 16],
  "blocks of 48": [4, 144, 4, 48],
  "a block a row": [7, 64, 1, 64],
  "blocks of 32 a row": [7, 96, 1, 32],
  "blocks cut short by the tile": [5, 64, 3, 32],
};

/** Weights by what is hard about them. */
const WEIGHTS: Record<string, (dtype: FloatDtype) => (index: number) => number> = {
  "noise": () => noise(1),
  "positive": () => (i) => 1 + noise(2)(i) / 2,
  "negative": () => (i) => -3 + noise(3)(i),
  "an outlier": () => (i) => i % 61 === 7 ? 50 : noise(4)(i) / 100,
  "ties": () => (i) => ((i * 7) % 31 - 15) / 2,
  "zeros of both signs": () => (i) => i % 3 === 0 ? -0 : i % 5 === 0 ? 1 : 0,
  "denormals among others": (dtype) => (i) =>
    i % 2 === 0 ? noise(5)(i) : (dtype === "F16" ? 2 ** -20 : 2 ** -130) * noise(6)(i),
  "nothing but denormals": (dtype) => (i) => (dtype === "F16" ? 2 ** -20 : 2 ** -128) * noise(7)(i),
  "the least normals": (dtype) => (i) =>
    (dtype === "F16" ? 2 ** -14 : 2 ** -126) * (1 + Math.abs(noise(8)(i))) * (i % 2 === 0 ? 3 : -1),
  "huge": (dtype) => (i) => (dtype === "F16" ? 32000 : 2 ** 124) * noise(9)(i),
  "tiny": (dtype) => (i) => (dtype === "F16" ? 2 ** -12 : 2 ** -110) * noise(10)(i),
};

function bytesOf({ rows, columns, dtype }: Tile, value: (index: number) => number): Uint8Array {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => roundToDtype(value(i), dtype),
  );
  return encodeFloats(values, dtype);
}

/** Parameters from the ranges; a block of zeros takes the scale of its dtype's least normal or 1. */
function paramsOf(lo: Float32Array, hi: Float32Array, bits: Bits, dtype: FloatDtype): BlockParams {
  const params = Array.from(
    lo,
    (min, i) =>
      min === 0 && hi[i] === 0
        ? { scale: 1, zero_point: 0 }
        : estimateParams(min, hi[i]!, bits, dtype),
  );
  return {
    scale: Float32Array.from(params, ({ scale }) => scale),
    zero_point: Uint8Array.from(params, ({ zero_point }) => zero_point),
  };
}

/** Half of the blocks are stored with a larger scale than makes their codes, the others with a smaller one. */
function withCodeScale(params: BlockParams): BlockParams {
  const scale = params.scale.map((scale, i) => scale * (i % 2 === 0 ? 1.11 : 0.93));
  return { ...params, scale, code_scale: params.scale };
}

/**
 * Compares one tile, with the same scales for codes and values and with others; `params` are those of its
 * own ranges unless others are given.
 */
async function compare(
  contender: Contender["lanes"][number],
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  given?: BlockParams,
): Promise<void> {
  const expected = referenceKernels.range(bytes, tile);
  const found = await contender.range(bytes, tile);
  assert.deepEqual(found.lo, expected.lo, "lo");
  assert.deepEqual(found.hi, expected.hi, "hi");
  const params = given ?? paramsOf(expected.lo, expected.hi, bits, tile.dtype);
  await compareCodes(contender, bytes, tile, bits, params);
  await compareCodes(contender, bytes, tile, bits, withCodeScale(params));
}

/** Compares the codes of one tile, and what they lose. */
async function compareCodes(
  contender: Contender["lanes"][number],
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
): Promise<void> {
  const codes = referenceKernels.encode(bytes, tile, bits, params);
  const theirs = await contender.encode(bytes, tile, bits, params);
  // Not deepEqual, which takes minutes to describe two long arrays.
  const different = codes.packed.findIndex((byte, i) => byte !== theirs.packed[i]);
  assert.equal(theirs.packed.length, codes.packed.length);
  assert.equal(different, -1, `byte ${different} of the packed codes`);
  assert.deepEqual(Object.keys(theirs.sums), ["signal", "decoded", "error"]);
  for (const key of ["signal", "decoded", "error"] as const) {
    const sum = codes.sums[key];
    const distance = Math.abs(theirs.sums[key] - sum);
    // Subnormal weights have the code of 0 everywhere; their own energy may be counted or not.
    const bound = 1e-6 * sum + tile.rows * tile.columns * 2 ** -252;
    assert.ok(distance <= bound, `${key}: ${theirs.sums[key]}, expected ${sum}`);
  }
}

for (const contender of CONTENDERS) {
  const { name, test, lanes, numRuns } = contender;
  const lane = lanes[0]!;
  for (const dtype of DTYPES) {
    for (const bits of WIDTHS) {
      test(`${name} equals the reference from ${dtype} to INT${bits} for every shape and kind of weight`, async (t) => {
        for (const [shapeName, shape] of Object.entries(SHAPES)) {
          await t.step(shapeName, async () => {
            const tile = tileOf(dtype, shape);
            const kinds = Object.entries(WEIGHTS);
            await Promise.all(lanes.map(async (lane, first) => {
              for (let i = first; i < kinds.length; i += lanes.length) {
                const [kind, make] = kinds[i]!;
                try {
                  await compare(lane, bytesOf(tile, make(dtype)), tile, bits);
                } catch (error) {
                  throw new Error(`${kind}: ${error instanceof Error ? error.message : error}`);
                }
              }
            }));
          });
        }
      });
    }
  }

  test(`${name} marks a block with a NaN or an infinity, wherever it stands, and no other`, async () => {
    for (const dtype of DTYPES) {
      const tile = tileOf(dtype, [4, 48, 2, 16]);
      for (const bad of [NaN, Infinity, -Infinity]) {
        for (const place of [0, 15, 16, 47, 50, 100, 191]) {
          const bytes = bytesOf(tile, (i) => i === place ? bad : noise(11)(i));
          const expected = referenceKernels.range(bytes, tile);
          const found = await lane.range(bytes, tile);
          // As lists: a NaN is a NaN, whatever its bits.
          assert.deepEqual([...found.lo], [...expected.lo]);
          assert.deepEqual([...found.hi], [...expected.hi]);
          assert.equal(found.lo.filter(Number.isNaN).length, 1);
        }
      }
    }
  });

  test(`${name} marks a NaN of either sign and any payload`, async () => {
    const tile = tileOf("BF16", [1, 16, 1, 16]);
    for (const nan of [0x7f81, 0x7fff, 0xff81, 0xffc0, 0xffff]) {
      const words = new Uint16Array(16);
      words[9] = nan;
      const { lo, hi } = await lane.range(new Uint8Array(words.buffer), tile);
      assert.ok(Number.isNaN(lo[0]) && Number.isNaN(hi[0]));
    }
  });

  test(`${name} clamps to codes 0 and qmax when parameters do not cover the weights`, async () => {
    for (const dtype of DTYPES) {
      for (const bits of WIDTHS) {
        const tile = tileOf(dtype, [3, 64, 3, 32]);
        const bytes = bytesOf(tile, (i) => 100 * noise(12)(i));
        for (const [scale, zeroPoint] of [[0.5, 0], [0.25, 2 ** bits - 1], [300, 1]] as const) {
          const params = {
            scale: Float32Array.of(scale, scale / 3),
            zero_point: Uint8Array.of(zeroPoint, 1),
          };
          await compare(lane, bytes, tile, bits, params);
        }
      }
    }
  });

  test(`${name} equals the reference for random shapes, parameters and weights`, async () => {
    const cases = fc.record({
      dtype: fc.constantFrom(...DTYPES),
      bits: fc.constantFrom(...WIDTHS),
      rows: fc.integer({ min: 1, max: 9 }),
      blockRows: fc.integer({ min: 1, max: 9 }),
      blocks: fc.integer({ min: 1, max: 4 }),
      blockColumns: fc.constantFrom(16, 32, 48, 128),
      ragged: fc.option(fc.integer({ min: 1, max: 300 })),
      seed: fc.integer(),
      magnitude: fc.double({ min: -12, max: 12, noNaN: true }),
      offset: fc.double({ min: -1, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const columns = c.ragged ?? c.blocks * c.blockColumns;
        const shape = [c.rows, columns, Math.min(c.blockRows, c.rows), c.ragged ?? c.blockColumns];
        const tile = tileOf(c.dtype, shape as Shape);
        const value = noise(c.seed);
        const bytes = bytesOf(tile, (i) => 2 ** c.magnitude * (value(i) + c.offset));
        await compare(lane, bytes, tile, c.bits);
        assert.equal((await lane.range(bytes, tile)).lo.length, blockCount(tile));
      }),
      { numRuns, seed: 4 },
    );
  });

  test(`${name} reads bytes at any alignment`, async () => {
    const tile = tileOf("F32", [2, 32, 2, 32]);
    const bytes = bytesOf(tile, noise(13));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    await compare(lane, shifted.subarray(3), tile, 4);
  });
}

Deno.test("wasm keeps what was read into its input when its memory grows", () => {
  const tile = tileOf("BF16", [64, 4096, 64, 4096]);
  const bytes = bytesOf(tile, noise(14));
  wasmKernels.input(bytes.length).set(bytes);
  const { packed } = wasmKernels.encode(wasmKernels.input(bytes.length), tile, 8, {
    scale: Float32Array.of(0.01),
    zero_point: Uint8Array.of(128),
  });
  const expected = referenceKernels.encode(bytes, tile, 8, {
    scale: Float32Array.of(0.01),
    zero_point: Uint8Array.of(128),
  });
  assert.equal(expected.packed.findIndex((byte, i) => byte !== packed[i]), -1);
  const kept = wasmKernels.input(bytes.length);
  assert.equal(bytes.findIndex((byte, i) => byte !== kept[i]), -1);
});

Deno.test("wasm keeps what was read into its input when its memory grows for parameters it leaves to the reference", () => {
  const kernels = createWasmKernels();
  // So many blocks that their parameters need more memory than the weights have so far.
  const tile = tileOf("F32", [64, 4096, 1, 16]);
  const bytes = bytesOf(tile, (i) => 2 ** -45 * noise(15)(i));
  kernels.input(bytes.length).set(bytes);
  const params = {
    scale: new Float32Array(blockCount(tile)).fill(2 ** -44),
    zero_point: new Uint8Array(blockCount(tile)).fill(2),
  };
  const expected = referenceKernels.encode(bytes, tile, 2, params);
  const found = kernels.encode(kernels.input(bytes.length), tile, 2, params);
  assert.deepEqual(found.sums, expected.sums);
  assert.equal(expected.packed.findIndex((byte, i) => byte !== found.packed[i]), -1);
});

Deno.test("the shaders take one shape, and no more of it than the host writes", () => {
  const folder = new URL("../lib/compute/kernels/", import.meta.url);
  const shapes = ["range", "encode", "histogram"].map((name) => {
    const source = Deno.readTextFileSync(new URL(`${name}.wgsl`, folder));
    const [, body = ""] = /struct Shape \{(.*?)\n\}/s.exec(source) ?? [];
    return [...body.matchAll(/^ {2}(\w+): u32,$/gm)].map(([, field]) => field);
  });
  // In the order in which webgpu_kernels.ts writes them.
  const fields = "base rows columns block_rows block_columns across pieces piece row_words".split(
    " ",
  );
  assert.deepEqual(shapes, [fields, fields, fields]);
});
