/** What the models of the examples compute element by element: the SIMD kernels against their references. */

import assert from "node:assert/strict";
import { softmax } from "../examples/forward/activations.ts";
import { exponentialF32 } from "../examples/forward/activate_plain.ts";
import type { Multiplier } from "../examples/forward/multiplier.ts";
import { createPlainMultiplier } from "../examples/forward/multiply_plain.ts";
import { createSimdMultiplier } from "../examples/forward/multiply_simd.ts";

/** Values of every size and sign that F32 has room for in a model, and beyond. */
const INPUTS = Float32Array.from(
  { length: 40_000 },
  (_, i) => i < 32_000 ? (i - 16_000) / 1000 : (i % 2 * 2 - 1) * 1.03 ** (i % 2000 - 1000),
);

function near(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what} is ${actual}, expected ${expected}`);
}

/** Runs the same on both multipliers, each with copies of the inputs; gives what both left of them. */
function runBoth(
  inputs: readonly Float32Array[],
  use: (multiplier: Multiplier, ...arrays: Float32Array[]) => void,
): Float32Array {
  const [plain, simd] = [createPlainMultiplier(), createSimdMultiplier()].map((multiplier) => {
    const arrays = inputs.map((input) => {
      const array = multiplier.allocate(input.length);
      array.set(input);
      return array;
    });
    use(multiplier, ...arrays);
    return arrays[0]!.slice();
  }) as [Float32Array, Float32Array];
  const bits = (x: Float32Array) => new Uint32Array(x.buffer);
  const [left, right] = [bits(plain), bits(simd)];
  const at = left.findIndex((word, i) => word !== right[i]);
  assert.equal(at, -1, `element ${at} is ${simd[at]}, plainly ${plain[at]}`);
  return simd;
}

Deno.test("exponentialF32() is within 2e-7 of e^x, relatively, and stays within F32", () => {
  for (const x of INPUTS.filter((x) => x >= -87 && x <= 88)) {
    near(exponentialF32(x) / Math.exp(x), 1, 2e-7, `e^${x}`);
  }
  assert.deepEqual([0, NaN].map(exponentialF32), [1, NaN]);
  near(Math.log(exponentialF32(Infinity)), 88, 1e-5, "the largest");
  near(Math.log(exponentialF32(-Infinity)), -87, 1e-5, "the smallest");
});

Deno.test("gelu() is within 2e-6 of its formula, and passes extremes", () => {
  const found = runBoth([INPUTS], (multiplier, x) => multiplier.gelu(x));
  for (const [i, value] of found.entries()) {
    const x = INPUTS[i]!;
    const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
    const expected = 0.5 * x * (1 + Math.tanh(inner));
    near(value, expected, 2e-6 * Math.max(1, Math.abs(expected)), `gelu(${x})`);
  }
  const extremes = Float32Array.of(-Infinity, -1e30, Infinity, NaN);
  const kept = createPlainMultiplier();
  kept.gelu(extremes);
  assert.ok(Math.abs(extremes[0]!) < 1e-12 && Math.abs(extremes[1]!) < 1e-12);
  assert.deepEqual([...extremes.subarray(2)], [Infinity, NaN]);
});

Deno.test("gateSilu() is within 1e-6 of its formula, relatively", () => {
  const up = INPUTS.map((_, i) => 1 + i % 7);
  const found = runBoth([INPUTS, up], (multiplier, x, up) => multiplier.gateSilu(x, up!));
  for (const [i, value] of found.entries()) {
    const x = INPUTS[i]!;
    if (x < -80) continue;
    const expected = x / (1 + Math.exp(-x)) * up[i]!;
    near(value, expected, 1e-6 * Math.abs(expected), `silu(${x}) * ${up[i]}`);
  }
});

Deno.test("softmax() of a multiplier makes the shares of the plain one, row by row", () => {
  const [rows, columns, stride] = [40, 128, 160];
  const scores = INPUTS.filter((x) => Math.abs(x) < 1e6).subarray(0, rows * stride);
  const found = runBoth([scores], (multiplier, values) => {
    multiplier.softmax({ values, stride }, rows, columns);
  });
  for (let row = 0; row < rows; row++) {
    const [from, to] = [row * stride, row * stride + columns];
    const expected = Float64Array.from(scores.subarray(from, to));
    softmax(expected, 0, columns);
    for (const [i, share] of expected.entries()) near(found[from + i]!, share, 1e-6, `share ${i}`);
    assert.deepEqual(found.subarray(to, from + stride), scores.subarray(to, from + stride));
  }
});

for (const create of [createPlainMultiplier, createSimdMultiplier]) {
  Deno.test(`${create.name}() refuses elements that do not come by four`, () => {
    const multiplier = create();
    const [eight, six] = [multiplier.allocate(8), multiplier.allocate(6)];
    const score = (values: Float32Array, stride: number, rows: number, columns: number) => () =>
      multiplier.softmax({ values, stride }, rows, columns);
    score(eight, 4, 2, 4)();
    for (
      const wrong of [
        () => multiplier.gelu(six),
        () => multiplier.gateSilu(eight, six),
        () => multiplier.gateSilu(six, six),
        score(eight, 6, 1, 6),
        score(eight, 8, 2, 4),
        score(eight, 4, 0, 4),
      ]
    ) assert.throws(wrong, RangeError);
  });
}
