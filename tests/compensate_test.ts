/** Error compensation: the plain kernel against GPTQ's definition, the others against the plain one. */

import assert from "node:assert/strict";
import { blockCount, type BlockParams, type Kernels, type Tile } from "../lib/compute/kernels.ts";
import { packedBytes, unpackRow } from "../lib/compute/pack_codes.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { planCompensation } from "../lib/params/plan_compensation.ts";
import { encodeFloats, type FloatDtype, roundToDtype } from "../lib/safetensors/dtype.ts";
import { type Bits, type CompensationInputs, qmaxOf } from "../lib/types.ts";
import { withAdapter } from "./find_adapter.ts";
import { cholesky, invert, makeMoments, momentsOf, quantizeByGptq } from "./gptq.ts";
import { noise } from "./make_model.ts";
import { DTYPES, openContenders, type Shape, tileOf } from "./open_contenders.ts";

const reference = createReferenceKernels();

const CONTENDERS = await openContenders(1);

const WIDTHS: Bits[] = [2, 4, 8];

/** Rows, columns, rows of a block, columns of a block. */
const SHAPES: Record<string, Shape> = {
  "one weight": [1, 1, 1, 1],
  "columns of no whole byte": [5, 7, 5, 7],
  "rows of no whole vector, in blocks": [19, 33, 4, 33],
  "a block a row": [33, 100, 1, 100],
  "blocks of 16": [16, 64, 1, 16],
  "blocks cut short": [21, 96, 8, 40],
  "several runs of columns": [3, 611, 3, 611],
};

/** Weights of a tile. */
function valuesOf({ rows, columns, dtype }: Tile, value: (index: number) => number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) => roundToDtype(value(i), dtype));
}

/** Parameters that cover most of the weights between -size and size, and differ from block to block. */
function paramsOf(tile: Tile, bits: Bits, size: number): BlockParams {
  const blocks = blockCount(tile);
  const qmax = qmaxOf(bits);
  const value = noise(31);
  const scale = Float32Array.from(
    { length: blocks },
    (_, b) => size * (1.8 + 0.3 * value(b)) / qmax,
  );
  return {
    scale,
    zero_point: Uint8Array.from({ length: blocks }, (_, b) => Math.floor((qmax + b % 2) / 2)),
  };
}

/** The codes of a packed tile: [rows][columns]. */
function codesOf(packed: Uint8Array, { rows, columns }: Tile, bits: Bits): Uint8Array[] {
  const bytes = packedBytes(columns, bits);
  return Array.from({ length: rows }, (_, row) => {
    const codes = new Uint8Array(columns);
    unpackRow(packed.subarray(row * bytes, (row + 1) * bytes), bits, codes);
    return codes;
  });
}

/** Compares what kernels make of a tile with what the reference makes of it. */
async function compare(
  kernels: Kernels,
  values: Float32Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
  inputs: CompensationInputs,
): Promise<void> {
  const bytes = encodeFloats(values, tile.dtype);
  const expected = reference.compensate(bytes, tile, bits, params, inputs);
  const found = await kernels.compensate(bytes, tile, bits, params, inputs);
  assert.equal(found.packed.length, expected.packed.length);
  const different = expected.packed.findIndex((byte, i) => byte !== found.packed[i]);
  assert.equal(different, -1, `byte ${different} of the packed codes`);
  const { output: theirs, ...rest } = found.sums;
  const { output, ...own } = expected.sums;
  const pairs = [
    ...Object.entries(own).map(([key, sum]) => [key, sum, rest[key as keyof typeof own]] as const),
    ["output.signal", output?.signal, theirs?.signal] as const,
    ["output.error", output?.error, theirs?.error] as const,
  ];
  for (const [key, sum, sumFound] of pairs) {
    assert.ok(sum !== undefined && sumFound !== undefined && Number.isFinite(sum), key);
    assert.ok(Math.abs(sumFound - sum) <= 1e-6 * sum, `${key}: ${sumFound}, expected ${sum}`);
  }
}

Deno.test("a plan's order falls, and its gains are those of the best answer to an error", () => {
  for (const [columns, rank] of [[1, 1], [6, 1], [9, 4], [12, 12]] as const) {
    const moments = makeMoments(columns, rank, 40 + columns);
    // Two alike, so that the order among equals is seen.
    moments.square[columns - 1] = moments.square[0]!;
    const plan = planCompensation(moments);
    const expected = Array.from({ length: columns }, (_, j) => j)
      .sort((a, b) => moments.square[b]! - moments.square[a]! || a - b);
    assert.deepEqual([...plan.order], expected);
    assert.equal(plan.rank, rank);
    for (const [p, column] of expected.entries()) {
      assert.equal(plan.diagonal[p], Math.fround(moments.diagonal[column]!));
      // What is left to choose answers an error that comes to e with -inverse(H) K e; the first of it moves.
      const left = expected.slice(p);
      const [answer] = invert(momentsOf(moments, left));
      for (let k = 0; k < rank; k++) {
        const own = moments.sketch[column * rank + k]!;
        assert.equal(plan.sketch[p * rank + k], Math.fround(own));
        let gain = 0;
        for (const [i, one] of left.entries()) {
          gain += answer![i]! * moments.sketch[one * rank + k]!;
        }
        const distance = Math.abs(plan.gains[p * rank + k]! - gain);
        assert.ok(distance <= 1e-6 * Math.abs(gain) + 1e-9, `${p}, ${k}: ${distance}`);
      }
    }
  }
});

for (const bits of WIDTHS) {
  Deno.test(`compensation to INT${bits} chooses GPTQ's codes`, () => {
    const count = { all: 0, equal: 0 };
    const error = { own: 0, gptq: 0, plain: 0 };
    for (
      const [seed, [columns, rank]] of [[24, 1], [24, 3], [17, 17], [48, 8], [31, 31]].entries()
    ) {
      const tile = tileOf("F32", [40, columns!, seed % 2 === 0 ? 1 : 6, seed < 2 ? 8 : columns!]);
      const moments = makeMoments(columns!, rank!, seed);
      const values = valuesOf(tile, noise(50 + seed));
      const stored = paramsOf(tile, bits, 1);
      const params = seed % 2 === 0
        ? stored
        : { ...stored, scale: stored.scale.map((scale) => scale * 1.05), code_scale: stored.scale };
      const bytes = encodeFloats(values, "F32");
      const inputs = planCompensation(moments);
      const { packed, sums } = reference.compensate(bytes, tile, bits, params, inputs);
      const codes = codesOf(packed, tile, bits);
      const plain = codesOf(reference.encode(bytes, tile, bits, params).packed, tile, bits);
      const order = [...inputs.order];
      const upper = cholesky(invert(momentsOf(moments, order)));
      const all = momentsOf(moments, Array.from({ length: columns! }, (_, j) => j));
      let own = 0;
      for (const [row, found] of codes.entries()) {
        const weights = values.subarray(row * columns!, (row + 1) * columns!);
        const stepOf = (column: number) => {
          const across = Math.ceil(columns! / tile.blockColumns);
          const block = Math.floor(row / tile.blockRows) * across +
            Math.floor(column / tile.blockColumns);
          const { scale, zero_point, code_scale = scale } = params;
          return {
            scale: scale[block]!,
            code_scale: code_scale[block]!,
            zero_point: zero_point[block]!,
            qmax: qmaxOf(bits),
          };
        };
        const lossOf = (some: Uint8Array) => {
          const d = Float64Array.from(some, (code, j) => {
            const { scale, zero_point } = stepOf(j);
            return (code - zero_point) * scale - weights[j]!;
          });
          return all.reduce(
            (sum, h, a) => sum + d[a]! * h.reduce((s, x, b) => s + x * d[b]!, 0),
            0,
          );
        };
        const expected = quantizeByGptq(weights, order, upper, stepOf);
        count.all += columns!;
        count.equal += found.filter((code, j) => code === expected[j]).length;
        own += lossOf(found);
        error.gptq += lossOf(expected);
        error.plain += lossOf(plain[row]!);
      }
      const told = sums.output?.error ?? NaN;
      assert.ok(Math.abs(told - own) <= 1e-5 * own, `told ${told}, is ${own}`);
      error.own += own;
    }
    assert.ok(count.equal >= 0.999 * count.all, `${count.equal} of ${count.all} codes`);
    assert.ok(Math.abs(error.own - error.gptq) <= 1e-3 * error.gptq, JSON.stringify(error));
    // What it is for.
    assert.ok(error.own < 0.8 * error.plain, JSON.stringify(error));
  });
}

for (const { name, test, lanes } of CONTENDERS) {
  const kernels = lanes[0]!;

  for (const dtype of DTYPES) {
    test(`${name} compensates from ${dtype} as the reference does`, async (t) => {
      for (const [shapeName, shape] of Object.entries(SHAPES)) {
        await t.step(shapeName, async () => {
          const tile = tileOf(dtype, shape);
          const ranks = new Set([1, 5, Math.min(16, tile.columns)]);
          for (const rank of ranks) {
            const inputs = planCompensation(makeMoments(tile.columns, rank, 60 + rank));
            for (const bits of WIDTHS) {
              const params = paramsOf(tile, bits, 1);
              const scale = params.scale.map((scale, b) => scale * (b % 2 === 0 ? 1.1 : 0.95));
              await compare(kernels, valuesOf(tile, noise(61)), tile, bits, params, inputs);
              await compare(kernels, valuesOf(tile, noise(62)), tile, bits, {
                ...params,
                scale,
                code_scale: params.scale,
              }, inputs);
            }
          }
        });
      }
    });
  }

  test(`${name} compensates weights, scales and moments of any size as the reference does`, async () => {
    const moments = makeMoments(33, 6, 70);
    const sizes: [FloatDtype, number][] = [
      ["F32", 2 ** 100],
      ["F32", 2 ** 30],
      ["F32", 2 ** -30],
      ["F32", 2 ** -60],
      ["BF16", 2 ** -50],
      ["F16", 2 ** -12],
    ];
    for (const [dtype, size] of sizes) {
      const tile = tileOf(dtype, [18, 33, 2, 33]);
      const values = valuesOf(tile, (i) => size * noise(71)(i));
      const params = paramsOf(tile, 4, size);
      await compare(kernels, values, tile, 4, params, planCompensation(moments));
    }
    const tile = tileOf("BF16", [18, 33, 2, 33]);
    for (const power of [2 ** -60, 2 ** 60]) {
      const size = power ** (1 / 3);
      const inputs = planCompensation({
        ...moments,
        sketch: moments.sketch.map((x) => x * power),
        diagonal: moments.diagonal.map((x) => x * power ** 2),
        square: moments.square.map((x) => x * power ** 2),
      });
      const values = valuesOf(tile, (i) => size * noise(72)(i));
      await compare(kernels, values, tile, 4, paramsOf(tile, 4, size), inputs);
    }
  });

  test(`${name} compensates subnormal weights, and blocks of nothing but zeros`, async () => {
    const tile = tileOf("F32", [17, 48, 1, 16]);
    const inputs = planCompensation(makeMoments(48, 3, 73));
    const kinds = [
      (i: number) => i % 3 === 0 ? 2 ** -130 * noise(74)(i) : noise(75)(i),
      (i: number) => i % 48 < 16 ? (i % 2 === 0 ? -0 : 0) : noise(76)(i),
    ];
    for (const kind of kinds) {
      await compare(kernels, valuesOf(tile, kind), tile, 4, paramsOf(tile, 4, 1), inputs);
    }
  });

  test(`${name} keeps a layer's inputs for its own tiles only`, async () => {
    const tiles = [[20, 64, 1, 16], [7, 64, 1, 32], [20, 64, 5, 64]] as const;
    const layers = [[64, 4], [64, 9], [64, 4]].map(([columns, rank], i) =>
      planCompensation(makeMoments(columns!, rank!, 80 + i))
    );
    for (const inputs of [...layers, ...layers]) {
      for (const [i, shape] of tiles.entries()) {
        const tile = tileOf("BF16", [...shape]);
        const values = valuesOf(tile, noise(83 + i));
        await compare(kernels, values, tile, 4, paramsOf(tile, 4, 1), inputs);
      }
    }
  });

  test(`${name} at rank 0 gives the codes of a plain encode, errors weighted by D`, async () => {
    const tile = tileOf("BF16", [18, 50, 1, 25]);
    const moments = makeMoments(50, 0, 90);
    const inputs = planCompensation(moments);
    const values = valuesOf(tile, noise(91));
    const bytes = encodeFloats(values, "BF16");
    const params = paramsOf(tile, 4, 1);
    await compare(kernels, values, tile, 4, params, inputs);
    const { packed, sums } = await kernels.compensate(bytes, tile, 4, params, inputs);
    assert.deepEqual([...packed], [...reference.encode(bytes, tile, 4, params).packed]);
    const signal = values.reduce((sum, w, i) => sum + w * w * moments.diagonal[i % 50]!, 0);
    assert.ok(Math.abs(sums.output!.signal - signal) <= 1e-6 * signal);
  });
}

withAdapter.test("webgpu leaves to the processor what its buffers do not hold", async () => {
  const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
  const kernels = createDeviceKernels(device, "together");
  const [columns, rank] = [2 ** 14, 1026];
  assert.ok(columns * rank * 8 > device.limits.maxStorageBufferBindingSize);
  const tile = tileOf("BF16", [1, columns, 1, columns]);
  const inputs = {
    rank,
    order: Int32Array.from({ length: columns }, (_, j) => j),
    sketch: new Float32Array(columns * rank).map((_, i) => i % 97 === 0 ? 1 : 0),
    gains: new Float32Array(columns * rank).map((_, i) => i % 89 === 0 ? 0.1 : 0),
    diagonal: new Float32Array(columns).fill(1),
  };
  const bytes = encodeFloats(valuesOf(tile, noise(92)), "BF16");
  const params = paramsOf(tile, 4, 1);
  const expected = createWasmKernels().compensate(bytes, tile, 4, params, inputs);
  const found = await kernels.compensate(bytes, tile, 4, params, inputs);
  assert.deepEqual(found.sums, expected.sums);
  assert.deepEqual(found.packed, expected.packed);
  kernels.close();
  device.destroy();
});
