/** dtype.ts, estimate_params.ts and the reference kernels: the arithmetic of the quantizer. */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import {
  estimateBlocks,
  estimateLayerParams,
  estimateParams,
  roundHalfEven,
} from "../lib/params/estimate_params.ts";
import { packedBytes, packRow, unpackRow } from "../lib/compute/pack_codes.ts";
import {
  decodeFloats,
  encodeFloats,
  type FloatDtype,
  roundScale,
  roundScales,
  roundToDtype,
  scaleRange,
} from "../lib/safetensors/dtype.ts";
import { type Bits, qmaxOf } from "../lib/types.ts";

const referenceKernels = createReferenceKernels();

const DTYPES: FloatDtype[] = ["F32", "F16", "BF16"];
const WIDTHS: Bits[] = [2, 4, 8];

Deno.test("roundHalfEven() rounds ties to even", () => {
  const pairs = [[0.5, 0], [1.5, 2], [2.5, 2], [-0.5, 0], [-1.5, -2], [1.49, 1], [
    2 ** 60,
    2 ** 60,
  ]];
  for (const [value, expected] of pairs) assert.equal(roundHalfEven(value!) + 0, expected);
});

Deno.test("roundToDtype() rounds to F32 first and then half to even", () => {
  const rows: [number, FloatDtype, number][] = [
    [1 / 3, "F32", Math.fround(1 / 3)],
    [1 + 2 ** -8, "BF16", 1], // a tie: 1 is even
    [1 + 3 * 2 ** -8, "BF16", 1 + 2 ** -6], // a tie: up to even
    [1 + 2 ** -8 + 2 ** -20, "BF16", 1 + 2 ** -7],
    [1 + 2 ** -11, "F16", 1],
    [1 + 3 * 2 ** -11, "F16", 1 + 2 ** -9],
    [65504, "F16", 65504],
  ];
  for (const [value, dtype, expected] of rows) assert.equal(roundToDtype(value, dtype), expected);
});

Deno.test("roundScales() rounds and bounds many scales as roundScale() does one", () => {
  const values = [
    1 + 2 ** -8, // ties of BF16
    1 + 3 * 2 ** -8,
    1 + 2 ** -8 + 2 ** -20,
    1 + 2 ** -11, // ties of F16
    1 + 3 * 2 ** -11,
    2 ** -25, // below the least scale of F16
    2 ** -130, // below that of the others
    70000, // above the largest of F16
    1 / 3,
  ];
  for (const dtype of DTYPES) {
    const scales = Float32Array.from(values);
    const expected = Array.from(scales, (scale) => roundScale(scale, dtype));
    roundScales(scales, dtype);
    assert.deepEqual([...scales], expected, dtype);
  }
});

Deno.test("decodeFloats() reads each dtype at any alignment and counts subnormal F32 values as 0", () => {
  const values = [0, -0, 1, -1.5, 2 ** -126, -(2 ** -126)];
  for (const dtype of ["F32", "BF16"] as const) {
    const bytes = encodeFloats(Float32Array.from([...values, 2 ** -127, -(2 ** -130)]), dtype);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const out = new Float32Array(8);
    decodeFloats(shifted.subarray(1), dtype, out);
    assert.deepEqual([...out].map((x) => x + 0), [...values.map((x) => x + 0), 0, 0]);
  }
  const small = new Float32Array(2);
  decodeFloats(encodeFloats(Float32Array.from([2 ** -24, 65504]), "F16"), "F16", small);
  assert.deepEqual([...small], [2 ** -24, 65504]);
});

Deno.test("decodeFloats() refuses too few bytes", () => {
  assert.throws(
    () => decodeFloats(new Uint8Array(3), "F16", new Float32Array(2)),
    /3 bytes given, 4/,
  );
});

Deno.test("estimateParams() follows the definition", () => {
  const rows: [number, number, Bits, FloatDtype, number, number][] = [
    [-1, 2, 2, "F32", 1, 1],
    [0, 3, 2, "F32", 1, 0],
    [-3, 0, 2, "F32", 1, 3],
    [-1, 1, 2, "F32", Math.fround(2 / 3), 1], // 1.49999997 is below a half
    [-1, 1, 4, "BF16", roundToDtype(2 / 15, "BF16"), 7],
    [-8, 247, 8, "F16", 1, 8],
    [-1e-9, 1e-9, 4, "F16", 2 ** -24, 0], // kept within the range of F16
    [-3e-6, 3e-6, 4, "F16", 7 * 2 ** -24, 7], // 6.7 subnormal steps
    [0, 2 ** -126, 8, "BF16", 2 ** -126, 0],
  ];
  for (const [lo, hi, bits, dtype, scale, zero_point] of rows) {
    assert.deepEqual(estimateParams(lo, hi, bits, dtype), { scale, zero_point }, `${lo} ${hi}`);
  }
});

Deno.test("estimateLayerParams() and estimateBlocks() keep symmetric zero points in the middle", () => {
  for (const bits of WIDTHS) {
    const middle = 2 ** (bits - 1);
    const scheme = { bits, scaleDtype: "F32", symmetric: true } as const;
    const lo = Float32Array.from([-1, 0, -3, 0]);
    const hi = Float32Array.from([1, 2, 0, 0]);
    // No weight is farther from its code than half a step: the lowest code is -middle, the highest middle - 1.
    const expected = [0, 1, 2].map((i) =>
      Math.fround(Math.max(-lo[i]! / (middle + 0.5), hi[i]! / (middle - 0.5)))
    );
    const layer = estimateLayerParams(lo, hi, 4, scheme);
    assert.deepEqual([...layer.scale], [...expected, 1]);
    assert.deepEqual([...layer.zero_point], [middle, middle, middle, middle]);
    const own = {
      scale: new Float32Array(4),
      zero_point: new Uint8Array(4),
      largest: new Float32Array(4),
    };
    assert.ok(estimateBlocks({ lo, hi }, scheme, own));
    assert.deepEqual([...own.scale], [...expected, 1]);
    assert.deepEqual([...own.zero_point], [middle, middle, middle, middle]);
    assert.deepEqual([...own.largest], [1, 2, 3, 0]);
  }
});

Deno.test("estimateLayerParams() gives an all-zero block its left neighbour's parameters, the first its right", () => {
  // Two blocks side by side, four groups; block 0: zero, zero, [0,3], zero; block 1: all zero.
  const hi = Float32Array.from([0, 0, 0, 0, 3, 0, 0, 0]);
  const scheme = { bits: 2, scaleDtype: "F32", symmetric: false } as const;
  const { scale, zero_point } = estimateLayerParams(new Float32Array(8), hi, 2, scheme);
  assert.deepEqual([...scale], [1, 1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual([...zero_point], [0, 0, 0, 0, 0, 0, 0, 0]);
  const mixed = estimateLayerParams(
    Float32Array.from([0, -6, 0, -1]),
    Float32Array.from([0, 3, 0, 2]),
    1,
    scheme,
  );
  assert.deepEqual([...mixed.scale], [3, 3, 3, 1]);
  assert.deepEqual([...mixed.zero_point], [2, 2, 2, 1]);
  // The left neighbour is not the first one, and may itself have taken its neighbour's.
  const later = estimateLayerParams(
    Float32Array.from([-6, -1, 0, 0, -9]),
    Float32Array.from([3, 2, 0, 0, 0]),
    1,
    scheme,
  );
  assert.deepEqual([...later.scale], [3, 1, 1, 1, 3]);
  assert.deepEqual([...later.zero_point], [2, 1, 1, 1, 3]);
});

Deno.test("range() sees through each dtype, counts zero in, and marks NaN and infinity", () => {
  const tile = { dtype: "F32" as const, rows: 2, columns: 4, blockRows: 1, blockColumns: 2 };
  const bytes = (values: number[]) => encodeFloats(Float32Array.from(values), "F32");
  const found = referenceKernels.range(bytes([1, 2, -3, -1, 0, 0, 5, -5]), tile);
  assert.deepEqual([...found.lo], [0, -3, 0, -5]);
  assert.deepEqual([...found.hi], [2, 0, 0, 5]);
  const bad = referenceKernels.range(bytes([1, NaN, -3, Infinity, 0, 0, -Infinity, 1]), tile);
  assert.deepEqual([...bad.lo].map(Number.isNaN), [true, true, false, true]);
  assert.deepEqual([...bad.hi].map(Number.isNaN), [true, true, false, true]);
});

Deno.test("encode() rounds half to even, clamps, packs and sums", () => {
  const values = [0.5, 1.5, -0.5, -7, 9, 0, -0, 2.5];
  const tile = { dtype: "F32" as const, rows: 1, columns: 8, blockRows: 1, blockColumns: 8 };
  const { packed, sums } = referenceKernels.encode(
    encodeFloats(Float32Array.from(values), "F32"),
    tile,
    4,
    { scale: Float32Array.of(1), zero_point: Uint8Array.of(6) },
  );
  const codes = new Uint8Array(8);
  unpackRow(packed, 4, codes);
  assert.deepEqual([...codes], [6, 8, 6, 0, 15, 6, 6, 8]);
  const decoded = [0, 2, 0, -6, 9, 0, 0, 2];
  const square = (list: number[]) => list.reduce((sum, x) => sum + x * x, 0);
  assert.deepEqual(sums, {
    signal: square(values),
    decoded: square(decoded),
    error: square(values.map((x, i) => x - decoded[i]!)),
  });
});

Deno.test("quantizing holds its promises for random matrices, widths and blocks", () => {
  const cases = fc.record({
    bits: fc.constantFrom(...WIDTHS),
    dtype: fc.constantFrom(...DTYPES),
    rows: fc.integer({ min: 1, max: 6 }),
    blocks: fc.integer({ min: 1, max: 3 }),
    blockColumns: fc.constantFrom(16, 32, 48),
    ragged: fc.option(fc.integer({ min: 1, max: 70 })),
    seed: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -60000, max: 60000 }), {
      minLength: 1,
      maxLength: 40,
    }),
  });
  fc.assert(
    fc.property(cases, ({ bits, dtype, rows, blocks, blockColumns, ragged, seed }) => {
      const columns = ragged ?? blocks * blockColumns;
      const tile = { dtype, rows, columns, blockRows: rows, blockColumns: ragged ?? blockColumns };
      const values = Float32Array.from({ length: rows * columns }, (_, i) => {
        const value = roundToDtype(seed[(i * 7) % seed.length]!, dtype);
        return Math.abs(value) < 2 ** -126 ? 0 : value;
      });
      const bytes = encodeFloats(values, dtype);
      const { lo, hi } = referenceKernels.range(bytes, tile);
      const params = estimateLayerParams(lo, hi, lo.length, {
        bits,
        scaleDtype: dtype,
        symmetric: false,
      });
      const { packed } = referenceKernels.encode(bytes, tile, bits, params);
      assert.deepEqual(packed, referenceKernels.encode(bytes, tile, bits, params).packed);
      const rowBytes = packedBytes(columns, bits);
      const codes = new Uint8Array(columns);
      const again = new Uint8Array(rowBytes);
      for (let row = 0; row < rows; row++) {
        const line = packed.subarray(row * rowBytes, (row + 1) * rowBytes);
        unpackRow(line, bits, codes);
        packRow(codes, bits, again);
        assert.deepEqual(again, line);
        for (let i = 0; i < columns; i++) {
          const block = Math.floor(i / tile.blockColumns);
          const [scale, zeroPoint] = [params.scale[block]!, params.zero_point[block]!];
          const [x, steps] = [values[row * columns + i]!, codes[i]! - zeroPoint];
          assert.ok(codes[i]! <= qmaxOf(bits));
          const clipped = codes[i] === 0 || codes[i] === qmaxOf(bits);
          const ulp = Math.abs(x) * 2 ** -23;
          const error = Math.abs(x - steps * scale);
          assert.ok(clipped || error <= scale / 2 + ulp, `${x} became ${steps} * ${scale}`);
          // A clipped value is off by more only where rounding the scale or zero point cut the range.
          // A subnormal F16 scale is rounded to a whole number of 2^-24.
          const isSubnormal = dtype === "F16" && scale < 2 ** -14;
          const cut = isSubnormal ? qmaxOf(bits) * 2 ** -25 : Math.abs(x) * 2 ** -6;
          assert.ok(
            error <= scale * 1.5 + cut,
            `${x} became ${steps} * ${scale}`,
          );
          if (x === 0) assert.equal(steps, 0);
        }
      }
      for (const scale of params.scale) {
        assert.ok(scale >= Math.min(1, scaleRange(dtype).min) && scale <= scaleRange(dtype).max);
        assert.equal(roundToDtype(scale, dtype), scale);
      }
    }),
    { numRuns: 300, seed: 20260101 },
  );
});
