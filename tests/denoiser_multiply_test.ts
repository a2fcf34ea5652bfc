/** The matrix products of the digits DiT: the SIMD kernel against its reference, bit for bit. */

import assert from "node:assert/strict";
import { buildKernels } from "../examples/forward/build_kernels.ts";
import { allocateRows, applyLinear, packLinear } from "../examples/forward/linear.ts";
import type { Multiplier } from "../examples/forward/multiplier.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { createSimdMultiplier } from "../examples/forward/multiply_simd.ts";
import { noise } from "./make_model.ts";

const MULTIPLIERS: [string, () => Multiplier][] = [
  ["plain", createPlainMultiplier],
  ["SIMD", createSimdMultiplier],
];

function values(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => noise(seed)(i));
}

function assertSameBits(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const bits = (x: Float32Array) => new Uint32Array(x.buffer, x.byteOffset, x.length);
  const [left, right] = [bits(actual), bits(expected)];
  const at = left.findIndex((word, i) => word !== right[i]);
  assert.equal(at, -1, `element ${at} is ${actual[at]}, expected ${expected[at]}`);
}

/** A layer's weight [outputs, inputs] and bias, and rows for it. */
interface Case {
  weight: Float32Array;
  bias: Float32Array;
  x: Float32Array;
  rows: number;
}

/** y of a layer that one multiplier computes: [rows, outputs rounded up to 8]. */
function applyWith(multiplier: Multiplier, { weight, bias, x, rows }: Case): Float32Array {
  const layer = packLinear(multiplier, weight, bias);
  const input = allocateRows(multiplier, rows, layer.inputs);
  const out = allocateRows(multiplier, rows, layer.outputs);
  input.set(x);
  applyLinear(layer, input, out, rows);
  return out.slice(0, rows * layer.outputs);
}

for (
  const [rows, inputs, outputs] of [
    [1, 2, 1],
    [4, 2, 8],
    [5, 4, 128],
    [7, 6, 13],
    [8, 32, 16],
    [3, 128, 4],
    [16, 128, 384],
    [18, 512, 100],
  ] as const
) {
  const shape = `[${rows},${inputs}] to [${rows},${outputs}]`;
  Deno.test(`applyLinear() gives the bits of a plain loop for ${shape}`, () => {
    const [weight, bias] = [values(outputs * inputs, 1), values(outputs, 2)];
    const x = values(rows * inputs, 3);
    const found = applyWith(createSimdMultiplier(), { weight, bias, x, rows });
    assertSameBits(found, applyWith(createPlainMultiplier(), { weight, bias, x, rows }));
    const width = found.length / rows;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < outputs; column++) {
        let sum = bias[column]!;
        for (let i = 0; i < inputs; i++) {
          const term = Math.fround(x[row * inputs + i]! * weight[column * inputs + i]!);
          sum = Math.fround(sum + term);
        }
        assert.equal(found[row * width + column], sum, `row ${row}, column ${column}`);
      }
    }
  });
}

Deno.test("applyLinear() gives the bits of the plain product where numbers overflow and underflow", () => {
  const scales = [1, 1e-25, 1e38, 1e-40];
  const weight = values(64 * 16, 4).map((value, i) => Math.abs(value) * scales[(i >> 4) % 4]!);
  const x = values(16, 5).map((value) => 2 * Math.abs(value));
  const layer = { weight, bias: new Float32Array(64), x, rows: 1 };
  const found = applyWith(createSimdMultiplier(), layer);
  assertSameBits(found, applyWith(createPlainMultiplier(), layer));
  assert.ok(found.includes(Infinity));
  assert.ok(found.some((value) => value > 0 && value < 2 ** -126));
});

for (const [name, createMultiplier] of MULTIPLIERS) {
  Deno.test(`multiply() leaves out what lies between the rows of parts of matrices: ${name}`, () => {
    const multiplier = createMultiplier();
    const allocate = (length: number, seed: number) => {
      const array = multiplier.allocate(length);
      array.set(values(length, seed));
      return array;
    };
    const [rows, inner, columns, stride] = [4, 2, 16, 20];
    const [x, w, bias] = [
      allocate(rows * stride, 6),
      allocate(inner * 50, 7),
      allocate(columns, 8),
    ];
    const out = allocate(rows * stride, 9);
    const before = out.slice();
    multiplier.multiply({
      x: { values: x.subarray(3), stride },
      w: { values: w.subarray(5), stride: 50, panelStride: 8 },
      bias,
      out: { values: out.subarray(1), stride },
      rows,
      inner,
    });
    for (const [at, value] of out.entries()) {
      const [row, column] = [Math.floor((at - 1) / stride), (at - 1) % stride];
      let expected = at === 0 || column >= columns ? before[at]! : bias[column]!;
      for (let i = 0; at > 0 && column < columns && i < inner; i++) {
        const term = Math.fround(x[3 + row * stride + i]! * w[5 + i * 50 + column]!);
        expected = Math.fround(expected + term);
      }
      assert.equal(value, expected, `element ${at}`);
    }
  });

  Deno.test(`multiply() refuses what it cannot compute: ${name}`, () => {
    const multiplier = createMultiplier();
    const array = (length: number) => multiplier.allocate(length);
    const matrix = (length: number, stride: number) => ({ values: array(length), stride });
    const right = {
      x: matrix(8, 2),
      w: { ...matrix(16, 8), panelStride: 16 },
      bias: array(8),
      out: matrix(32, 8),
      rows: 4,
      inner: 2,
    };
    multiplier.multiply(right);
    for (
      const wrong of [
        { rows: 3 },
        { rows: 0 },
        { inner: 1 },
        { bias: array(4) },
        { bias: array(16) },
        { x: matrix(7, 2) },
        { out: matrix(31, 8) },
        { w: { ...matrix(15, 8), panelStride: 16 } },
      ]
    ) {
      assert.throws(() => multiplier.multiply({ ...right, ...wrong }), RangeError);
    }
  });
}

Deno.test("createSimdMultiplier() says when its memory is taken", () => {
  const { allocate } = createSimdMultiplier();
  assert.equal(allocate(3 * 2 ** 20).length, 3 * 2 ** 20);
  assert.throws(() => allocate(2 ** 20 + 1), /^RangeError: Cannot allocate 4194308 bytes: /);
  assert.equal(allocate(2 ** 20).every((value) => value === 0), true);
});

Deno.test("kernels.wasm is what its source compiles to", async () => {
  const committed = Deno.readFileSync(
    new URL("../examples/forward/kernels.wasm", import.meta.url),
  );
  const built = await buildKernels();
  assert.equal(built.length, committed.length, "run deno task wasm");
  assert.equal(built.findIndex((byte, i) => byte !== committed[i]), -1, "run deno task wasm");
});
