/** Symmetric parameters: their scale by the rule, their search on every backend, and that no phase moves a zero point. */

import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "npm:fast-check@4.10.2";
import type { OwnParams, Tile } from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import {
  estimateBlocks,
  estimateLayerParams,
  estimateScheme,
} from "../lib/params/estimate_params.ts";
import { rateBlock } from "../lib/params/rate_block.ts";
import { listBins } from "../lib/params/read_histogram.ts";
import {
  decodeFloats,
  encodeFloats,
  floatBytes,
  type FloatDtype,
  roundScale,
  roundToDtype,
  scaleRange,
} from "../lib/safetensors/dtype.ts";
import { readTimeGroups } from "../lib/run/read_time_groups.ts";
import { BINS, type Bits, middleOf, qmaxOf } from "../lib/types.ts";
import { DEFAULT_SETTINGS, quantizeModel, verifyCheckpoint } from "../mod.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { DTYPES, openContenders, tileOf } from "./open_contenders.ts";

const WIDTHS = [2, 4, 8] as const;

const reference = createReferenceKernels();
const CONTENDERS = await openContenders(1);

/** The nearest value that a code decodes to. */
function decode(value: number, scale: number, zeroPoint: number, bits: Bits): number {
  const code = Math.round(value / scale) + zeroPoint;
  return (Math.min(Math.max(code, 0), qmaxOf(bits)) - zeroPoint) * scale;
}

/** How much less than the exact scale a stored one may be. */
const ROUNDING: Record<FloatDtype, number> = { F32: 2 ** -23, F16: 2 ** -11, BF16: 2 ** -8 };

Deno.test("estimateScheme() is symmetric with half a step of error at most, and no smaller scale is", () => {
  const cases = fc.record({
    lo: fc.double({ min: -4, max: 0, noNaN: true }),
    hi: fc.double({ min: 0, max: 4, noNaN: true }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    bits: fc.constantFrom(...WIDTHS),
    dtype: fc.constantFrom(...DTYPES),
  }).filter(({ lo, hi }) => hi - lo > 0.1);
  fc.assert(
    fc.property(cases, ({ lo, hi, share, bits, dtype }) => {
      const { scale, zero_point } = estimateScheme(lo, hi, {
        bits,
        scaleDtype: dtype,
        symmetric: true,
      });
      assert.equal(zero_point, 2 ** (bits - 1));
      assert.equal(roundToDtype(scale, dtype), scale);
      // Rounding makes the scale a little less, which the outermost code has as many times over.
      const most = 0.5 + (middleOf(bits) + 1) * ROUNDING[dtype];
      for (const value of [lo, hi, lo + share * (hi - lo)]) {
        const error = Math.abs(value - decode(value, scale, zero_point, bits)) / scale;
        assert.ok(error <= most, `${value}: ${error} steps of ${scale}`);
      }
      // A scale a hundredth smaller leaves one of the ends more than half a step away.
      const less = scale * (0.99 - 2 * ROUNDING[dtype]);
      const errors = [lo, hi].map((end) => Math.abs(end - decode(end, less, zero_point, bits)));
      assert.ok(Math.max(...errors) > less / 2, `${less} is as good as ${scale}`);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

/** [lo, hi], bits, and the exact scale: -lo / (m + 1/2) or hi / (m - 1/2), whichever is larger. */
const SCALES: [lo: number, hi: number, bits: Bits, scale: number][] = [
  [0, 1.5, 2, 1],
  [-2.5, 0, 2, 1],
  [-2.5, 1.5, 2, 1],
  [-2.5, 3, 2, 2],
  [-5, 1.5, 2, 2],
  [0, 7.5, 4, 1],
  [-8.5, 7.5, 4, 1],
  [-17, 7.5, 4, 2],
  [-8.5, 15, 4, 2],
  [0, 127.5, 8, 1],
  [-128.5, 0, 8, 1],
  [-1, 63.75, 8, 0.5],
];

Deno.test("estimateScheme(), estimateBlocks() and estimateLayerParams() give the same symmetric scales", () => {
  for (const bits of WIDTHS) {
    const cases = SCALES.filter(([, , width]) => width === bits);
    const scheme = { bits, scaleDtype: "F32", symmetric: true } as const;
    for (const [lo, hi, , scale] of cases) {
      assert.deepEqual(estimateScheme(lo, hi, scheme), { scale, zero_point: middleOf(bits) });
    }
    const lo = Float32Array.from(cases, ([lo]) => lo);
    const hi = Float32Array.from(cases, ([, hi]) => hi);
    const expected = cases.map(([, , , scale]) => scale);
    const out = {
      scale: new Float32Array(lo.length),
      zero_point: new Uint8Array(lo.length),
      largest: new Float32Array(lo.length),
    };
    assert.ok(estimateBlocks({ lo, hi }, scheme, out));
    assert.deepEqual([...out.scale], expected);
    assert.deepEqual([...out.largest], cases.map(([lo, hi]) => Math.max(-lo, hi)));
    const layer = estimateLayerParams(lo, hi, 1, scheme);
    assert.deepEqual([...layer.scale], expected);
    for (const { zero_point } of [out, layer]) {
      assert.ok(zero_point.every((zero) => zero === middleOf(bits)));
    }
  }
});

Deno.test("symmetric scales are kept within what the dtype holds", () => {
  const scheme = { bits: 8, symmetric: true } as const;
  for (const scaleDtype of DTYPES) {
    const { min } = scaleRange(scaleDtype);
    const { scale } = estimateScheme(-(2 ** -126), 0, { ...scheme, scaleDtype });
    assert.equal(scale, min);
  }
  const { scale } = estimateScheme(0, 1e9, { ...scheme, scaleDtype: "F16" });
  assert.equal(scale, 65504);
});

Deno.test("all-zero blocks have the middle zero point and the scale of their neighbour, or 1", () => {
  for (const bits of WIDTHS) {
    const scheme = { bits, scaleDtype: "F32", symmetric: true } as const;
    const zeros = new Float32Array(3);
    const out = {
      scale: new Float32Array(3),
      zero_point: new Uint8Array(3),
      largest: new Float32Array(3),
    };
    assert.ok(estimateBlocks({ lo: zeros, hi: zeros }, scheme, out));
    assert.deepEqual([...out.scale, ...out.zero_point, ...out.largest], [
      ...[1, 1, 1],
      ...Array(3).fill(middleOf(bits)),
      ...[0, 0, 0],
    ]);
    const none = estimateLayerParams(zeros, zeros, 1, scheme);
    assert.deepEqual([...none.scale, ...none.zero_point], [
      ...[1, 1, 1],
      ...Array(3).fill(middleOf(bits)),
    ]);
    const hi = Float32Array.of(0, middleOf(bits) - 0.5, 0);
    const some = estimateLayerParams(zeros, hi, 1, scheme);
    assert.deepEqual([...some.scale, ...some.zero_point], [
      ...[1, 1, 1],
      ...Array(3).fill(middleOf(bits)),
    ]);
  }
});

/** About normal. */
function bell(seed: number): (index: number) => number {
  const sample = noise(seed);
  return (i) => sample(4 * i) + sample(4 * i + 1) + sample(4 * i + 2) + sample(4 * i + 3);
}

function bytesOf({ rows, columns, dtype }: Tile, value: (index: number) => number): Uint8Array {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => roundToDtype(value(i), dtype),
  );
  return encodeFloats(values, dtype);
}

/** Symmetric parameters of the blocks' ranges. */
function ownParams(bytes: Uint8Array, tile: Tile, scaleDtype: FloatDtype): OwnParams {
  const ranges = reference.range(bytes, tile);
  const blocks = ranges.lo.length;
  const own = {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    largest: new Float32Array(blocks),
  };
  assert.ok(estimateBlocks(ranges, { bits: 2, scaleDtype, symmetric: true }, own));
  return own;
}

const KINDS: Record<string, (index: number) => number> = {
  "a bell": (i) => bell(1)(i) / 50,
  "positive": (i) => Math.abs(bell(2)(i)),
  "negative": (i) => -3 * Math.abs(bell(3)(i)),
  "outliers": (i) => i % 53 === 9 ? 12 * bell(4)(i) : bell(4)(i) / 20,
  "mostly zeros": (i) => i % 3 === 0 ? 0 : bell(5)(i) / 1000,
  "huge": (i) => 2 ** 13 * bell(6)(i),
  "near the least scale of F16": (i) => 2 ** -22 * bell(7)(i),
};

for (const { name, test, lanes, numRuns } of CONTENDERS) {
  test(`${name} finds the symmetric parameters that the plain search finds`, async () => {
    const compare = async (tile: Tile, scaleDtype: FloatDtype, value: (i: number) => number) => {
      const bytes = bytesOf(tile, value);
      const own = ownParams(bytes, tile, scaleDtype);
      const scheme = { scaleDtype, symmetric: true };
      const expected = reference.search(bytes, tile, own, scheme);
      const found = await lanes[0]!.search(bytes, tile, own, scheme);
      for (const key of ["scale", "zero_point", "code_scale"] as const) {
        assert.deepEqual([...found[key]], [...expected[key]], key);
      }
      assert.ok(found.zero_point.every((zero) => zero === 2), "a zero point is not 2");
    };
    for (const dtype of DTYPES) {
      for (const blockColumns of [16, 48, 64, 112, 128, 1000]) {
        for (const value of Object.values(KINDS)) {
          for (const scaleDtype of new Set([dtype, "F16"] as const)) {
            await compare(tileOf(dtype, [3, blockColumns * 2, 1, blockColumns]), scaleDtype, value);
          }
        }
      }
    }
    const cases = fc.record({
      dtype: fc.constantFrom(...DTYPES),
      columns: fc.integer({ min: 1, max: 400 }),
      seed: fc.integer(),
      magnitude: fc.integer({ min: -13, max: 13 }),
      offset: fc.double({ min: -2, max: 2, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ dtype, columns, seed, magnitude, offset }) => {
        const value = bell(seed);
        await compare(
          tileOf(dtype, [2, columns, 1, columns]),
          dtype,
          (i) => 2 ** magnitude * (value(i) ** 3 / 9 + offset),
        );
      }),
      { numRuns: Math.ceil(numRuns / 3), seed: 5 },
    );
  });
}

/** The least sum of |x - v|^3 with the middle zero point: every scale of the rule, in double precision. */
function searchExactly(x: Float32Array, own: number): number {
  const signal = x.reduce((sum, value) => sum + value ** 2, 0);
  let least = Infinity;
  for (let k = -12; k <= 1; k++) {
    const steps = stepsOf(x, Math.fround(own * 2 ** (k / 8)));
    const product = x.reduce((sum, value, i) => sum + value * steps[i]!, 0);
    if (!(product > 0)) continue;
    least = Math.min(least, sumCubes(x, steps, roundScale(signal / product, "BF16")));
  }
  return least;
}

function stepsOf(x: Float32Array, code: number): number[] {
  return Array.from(x, (value) => Math.min(Math.max(Math.round(value / code), -2), 1));
}

function sumCubes(x: Float32Array, steps: readonly number[], scale: number): number {
  return x.reduce((sum, value, i) => sum + Math.abs(value - steps[i]! * scale) ** 3, 0);
}

Deno.test("a symmetric search loses next to nothing against the rule in double precision", () => {
  for (const columns of [16, 64, 128]) {
    const rows = 200;
    const tile = tileOf("BF16", [rows, columns, 1, columns]);
    const bytes = bytesOf(tile, (i) => bell(8)(i) / 40);
    const weights = new Float32Array(rows * columns);
    decodeFloats(bytes, "BF16", weights);
    const own = ownParams(bytes, tile, "BF16");
    const found = reference.search(bytes, tile, own, { scaleDtype: "BF16", symmetric: true });
    let total = 0;
    for (let row = 0; row < rows; row++) {
      const x = weights.subarray(row * columns, (row + 1) * columns);
      const error = sumCubes(x, stepsOf(x, found.code_scale[row]!), found.scale[row]!);
      const excess = error / searchExactly(x, own.scale[row]!) - 1;
      // A scale between two of BF16 may be rounded to the other one.
      assert.ok(excess > -0.03 && excess < 0.25, `${columns} columns: ${excess}`);
      total += excess;
    }
    assert.ok(total / rows < 0.01, `${columns} columns: ${total / rows} on average`);
  }
});

Deno.test("a symmetric search leaves blocks of nothing but zeros", async () => {
  const tile = tileOf("BF16", [1, 48, 1, 16]);
  const bytes = bytesOf(tile, (i) => i >= 16 && i < 32 ? 0 : bell(10)(i));
  const own = ownParams(bytes, tile, "BF16");
  for (const kernels of [reference, ...CONTENDERS[0]!.lanes]) {
    const found = await kernels.search(bytes, tile, own, { scaleDtype: "BF16", symmetric: true });
    assert.deepEqual([found.scale[1], found.zero_point[1], found.code_scale[1]], [1, 2, 1]);
    assert.notEqual(found.code_scale[0], own.scale[0]);
  }
});

Deno.test("rateBlock() rates no candidate but those with the middle zero point", () => {
  for (const bits of WIDTHS) {
    for (const dtype of DTYPES) {
      for (const shift of [0, 1.5]) {
        const values = Float32Array.from(
          { length: 4000 },
          (_, i) => roundToDtype(0.02 * (bell(3)(i) + shift), dtype),
        );
        const bytes = encodeFloats(values, dtype);
        const counts = new Uint32Array(BINS);
        const words = floatBytes(dtype) === 4
          ? Array.from(new Uint32Array(bytes.buffer), (word) => word >>> 16)
          : new Uint16Array(bytes.buffer);
        for (const word of words) counts[word]!++;
        const range = { lo: Math.min(0, ...values), hi: Math.max(0, ...values) };
        const scheme = { bits, scaleDtype: dtype, symmetric: true };
        const rating = rateBlock(listBins(counts), range, dtype, scheme);
        const count = rating.error.length;
        assert.ok(count > 3, `${count} candidates`);
        assert.ok(rating.zero_point.every((zero) => zero === middleOf(bits)));
        assert.equal(rating.scale[count - 1], estimateScheme(range.lo, range.hi, scheme).scale);
        assert.equal(Math.min(...rating.error), 1);
        // Of one scale there is one candidate.
        assert.equal(new Set(rating.code_scale).size, count);
      }
    }
  }
});

Deno.test("no phase moves a zero point of symmetric parameters, and none is written", async () => {
  const tensors = [
    matrix("a.fc.weight", 17, 96, bell(21), "BF16"),
    matrix("b.fc.weight", 16, 128, (i) => i < 4 * 128 ? 0 : Math.abs(bell(22)(i)), "F16"),
    matrix("c.fc.weight", 5, 48, () => 0),
    matrix("d.fc.weight", 8, 48, () => -0.75),
  ];
  const files = { "model/model.safetensors": encodeFile(tensors), "model/config.json": "{}" };
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    for (const granularity of ["row", "slice"] as const) {
      for (const phase of ["baseline", "smooth", "optimize"] as const) {
        for (const bits of WIDTHS) {
          const what = `${granularity} ${phase} INT${bits}`;
          const report = await quantizeModel(model, output, {
            ...DEFAULT_SETTINGS,
            bits,
            granularity,
            phase,
            symmetric: true,
            smoothingWindow: phase === "baseline" ? undefined : 2,
            overwrite: true,
          });
          assert.equal(report.symmetric, true);
          for (const { name, zero_point, baseline, boundary_jumps } of report.layers) {
            const middle = Array(4).fill(middleOf(bits));
            assert.deepEqual(zero_point, middle, `${what}: ${name}`);
            if (baseline !== undefined) assert.deepEqual(baseline.zero_point, middle);
            for (const { zero_point_jump } of boundary_jumps) assert.equal(zero_point_jump, 0);
          }
          for (const { zero_point } of readTimeGroups(output)!.layers) {
            assert.ok(zero_point.every((zero) => zero === middleOf(bits)), what);
          }
          const text = new TextDecoder("latin1").decode(
            Deno.readFileSync(join(output, "model.safetensors")),
          );
          assert.doesNotMatch(text, /weight_zero_point/);
          const verified = await verifyCheckpoint(output, model);
          assert.ok(Math.abs((verified.sqnr_db ?? 0) - report.sqnr_db!) < 0.01, what);
        }
      }
    }
  });
});
