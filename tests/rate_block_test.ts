/** What a block loses by its candidates, against a direct computation over its weights. */

import assert from "node:assert/strict";
import { estimateParams, roundHalfEven } from "../lib/params/estimate_params.ts";
import { type BlockCandidates, rateBlock } from "../lib/params/rate_block.ts";
import {
  gatherCells,
  listBins,
  measureBins,
  rangeOfBins,
  sortBins,
} from "../lib/params/read_histogram.ts";
import { BINS, type Bits, qmaxOf, type Scheme } from "../lib/types.ts";
import {
  decodeFloats,
  encodeFloats,
  type FloatDtype,
  roundToDtype,
} from "../lib/safetensors/dtype.ts";
import { noise } from "./make_model.ts";

/** The norm of the error at each width. */
const NORM = { 2: 3, 4: 4, 8: 8 } as const;

interface Block {
  x: Float32Array;
  counts: Uint32Array;
  range: { lo: number; hi: number };
}

/** A block of weights as it is stored, and its histogram. */
function block(values: Float32Array, dtype: FloatDtype): Block {
  const bytes = encodeFloats(values.map((x) => roundToDtype(x, dtype)), dtype);
  const x = new Float32Array(values.length);
  decodeFloats(bytes, dtype, x);
  const counts = new Uint32Array(BINS);
  if (dtype === "F32") { for (const bits of new Uint32Array(bytes.buffer)) counts[bits >>> 16]!++; }
  else for (const bits of new Uint16Array(bytes.buffer)) counts[bits]!++;
  const range = { lo: Math.min(0, ...x), hi: Math.max(0, ...x) };
  return { x, counts, range };
}

/** Roughly normal weights, moved by `shift`. */
function weights(count: number, shift = 0): Float32Array {
  const sample = noise(3);
  return Float32Array.from(
    { length: count },
    (_, i) => 0.02 * (sample(3 * i) + sample(3 * i + 1) + sample(3 * i + 2) + shift),
  );
}

/** The step of each weight. */
function stepsOf(x: Float32Array, code: number, zeroPoint: number, bits: Bits): number[] {
  const most = qmaxOf(bits) - zeroPoint;
  const inverse = Math.fround(1 / code);
  return Array.from(
    x,
    (x) => Math.min(Math.max(roundHalfEven(Math.fround(x * inverse)), -zeroPoint), most),
  );
}

/** Asymmetric parameters whose scales are stored in the dtype of the weights. */
function schemeOf(bits: Bits, dtype: FloatDtype): Scheme {
  return { bits, scaleDtype: dtype, symmetric: false };
}

/** The error of a candidate as a power, weight by weight. */
function errorByHand(x: Float32Array, rating: BlockCandidates, k: number, bits: Bits): number {
  const [code, zeroPoint] = [rating.code_scale[k]!, rating.zero_point[k]!];
  const steps = stepsOf(x, code, zeroPoint, bits);
  const sum = steps.reduce(
    (sum, step, i) => sum + Math.abs(x[i]! - step * rating.scale[k]!) ** NORM[bits],
    0,
  );
  return sum ** (2 / NORM[bits]);
}

for (const bits of [2, 4, 8] as const) {
  for (const dtype of ["BF16", "F16", "F32"] as const) {
    Deno.test(`rateBlock() agrees with the weights themselves at INT${bits} of ${dtype}`, () => {
      for (const shift of [0, 1.5]) {
        const { x, counts, range } = block(weights(20_000, shift), dtype);
        const rating = rateBlock(listBins(counts), range, dtype, schemeOf(bits, dtype));
        const count = rating.error.length;
        const own = estimateParams(range.lo, range.hi, bits, dtype);
        assert.equal(rating.scale[count - 1], own.scale);
        assert.equal(rating.code_scale[count - 1], own.scale);
        assert.equal(rating.zero_point[count - 1], own.zero_point);
        assert.ok(count > 5 && count < 200, `${count} candidates`);
        const errors = Array.from(rating.error, (_, k) => errorByHand(x, rating, k, bits));
        // Cells have a width, and BF16 values near the largest lie as far apart as 8-bit steps do.
        const best = rating.error.indexOf(1);
        const tolerance = bits < 8 ? 0.06 : dtype === "BF16" ? 0.3 : 0.15;
        for (const [k, error] of errors.entries()) {
          const ratio = error / errors[best]!;
          const off = Math.abs(rating.error[k]! / ratio - 1);
          assert.ok(off < tolerance, `candidate ${k}: ${rating.error[k]}, by hand ${ratio}`);
        }
      }
    });
  }
}

Deno.test("rateBlock() stores a scale that keeps sum x v at sum x^2", () => {
  const { x, counts, range } = block(weights(20_000), "BF16");
  const rating = rateBlock(listBins(counts), range, "BF16", schemeOf(2, "BF16"));
  for (let k = 0; k < rating.error.length - 1; k++) {
    const steps = stepsOf(x, rating.code_scale[k]!, rating.zero_point[k]!, 2);
    let [square, product] = [0, 0];
    for (const [i, step] of steps.entries()) {
      square += x[i]! ** 2;
      product += x[i]! * step * rating.scale[k]!;
    }
    // BF16 rounds a scale by up to a 256th.
    assert.ok(Math.abs(product / square - 1) < 0.012, `candidate ${k}: ${product / square}`);
    assert.equal(roundToDtype(rating.scale[k]!, "BF16"), rating.scale[k]);
  }
});

Deno.test("rateBlock() finds less error than the block's own range has when there are outliers", () => {
  const x = weights(20_000);
  x[77] = 0.15;
  const { counts, range } = block(x, "BF16");
  const two = rateBlock(listBins(counts), range, "BF16", schemeOf(2, "BF16"));
  assert.ok(two.error.at(-1)! > 1.05, `${two.error.at(-1)}`);
  // At 8 bits a large weight is worth more than finer steps.
  assert.ok(rateBlock(listBins(counts), range, "BF16", schemeOf(8, "BF16")).error.at(-1)! < 1.1);
});

Deno.test("rateBlock() tries zero points up to one beyond those that keep either end", () => {
  for (const bits of [2, 4, 8] as const) {
    const { counts, range: { lo, hi } } = block(weights(20_000, 0.2), "BF16");
    const rating = rateBlock(listBins(counts), { lo, hi }, "BF16", schemeOf(bits, "BF16"));
    const qmax = qmaxOf(bits);
    const clamp = (zeroPoint: number) => Math.min(Math.max(zeroPoint, 0), qmax);
    // The first scales lie a quarter of an octave apart, and own parameters come last.
    const tried = new Map<number, number[]>();
    for (let k = 0; k < rating.error.length - 1; k++) {
      const code = rating.code_scale[k]!;
      if (Math.abs(4 * Math.log2(code) - Math.round(4 * Math.log2(code))) > 1e-5) continue;
      if (!tried.has(code)) tried.set(code, []);
      tried.get(code)!.push(rating.zero_point[k]!);
    }
    assert.ok(tried.size > 1, `${tried.size} scales`);
    for (const [code, zeroPoints] of tried) {
      const ends = [-lo / code, qmax - hi / code].map((end) => clamp(roundHalfEven(end)));
      assert.equal(Math.min(...zeroPoints), clamp(Math.min(...ends) - 1), `INT${bits} ${code}`);
      assert.equal(Math.max(...zeroPoints), clamp(Math.max(...ends) + 1), `INT${bits} ${code}`);
      assert.equal(new Set(zeroPoints).size, zeroPoints.length);
    }
  }
});

Deno.test("rateBlock() gives symmetric candidates the middle zero point alone", () => {
  for (const bits of [2, 4, 8] as const) {
    const { x, counts, range } = block(weights(20_000, 0.5), "BF16");
    const scheme = { ...schemeOf(bits, "BF16"), symmetric: true };
    const rating = rateBlock(listBins(counts), range, "BF16", scheme);
    assert.ok(rating.error.length > 3, `${rating.error.length} candidates`);
    assert.ok(rating.zero_point.every((zeroPoint) => zeroPoint === 2 ** (bits - 1)));
    const errors = Array.from(rating.error, (_, k) => errorByHand(x, rating, k, bits));
    const best = rating.error.indexOf(1);
    for (const [k, error] of errors.entries()) {
      const off = Math.abs(rating.error[k]! * errors[best]! / error - 1);
      assert.ok(off < (bits < 8 ? 0.06 : 0.3), `INT${bits} candidate ${k} is off by ${off}`);
    }
  }
});

Deno.test("rateBlock() rates blocks of one value, of two, and of one weight", () => {
  for (const bits of [2, 4, 8] as const) {
    for (const dtype of ["BF16", "F16", "F32"] as const) {
      for (
        const values of [[0.5], [-0.5, -0.5], [1, -1], [0, 0, 0.001], [-0, 0.001], [1e-3, 60000], [
          6e-8,
        ]]
      ) {
        const { counts, range } = block(Float32Array.from(values), dtype);
        if (range.lo === range.hi) continue;
        const rating = rateBlock(listBins(counts), range, dtype, schemeOf(bits, dtype));
        assert.ok(rating.error.length >= 1);
        assert.ok(rating.error.every((error) => error >= 1), `${values}: ${rating.error}`);
        assert.ok(rating.scale.every((scale) => scale > 0 && Number.isFinite(scale)));
        assert.ok(rating.zero_point.every((zeroPoint) => zeroPoint <= qmaxOf(bits)));
      }
    }
  }
});

Deno.test("gatherCells() keeps every weight that counts, in ascending cells within the range", () => {
  for (const dtype of ["BF16", "F16", "F32"] as const) {
    const { x, counts, range } = block(weights(5000, 0.3), dtype);
    const { from, to, count } = gatherCells(listBins(counts), dtype, range);
    assert.equal(count.reduce((a, b) => a + b), x.length);
    assert.equal(from[0], range.lo);
    assert.equal(to.at(-1), range.hi);
    for (let i = 0; i < count.length; i++) {
      assert.ok(from[i]! <= to[i]!);
      // Where an octave begins, half a unit of its last place is one of the octave before.
      assert.ok(i === 0 || from[i]! >= to[i - 1]! - Math.abs(to[i - 1]!) / 256);
    }
    const mean = from.reduce((sum, a, i) => sum + count[i]! * (a + to[i]!) / 2, 0) / x.length;
    const direct = x.reduce((sum, x) => sum + x, 0) / x.length;
    assert.ok(Math.abs(mean - direct) < 1e-4 * range.hi, `${mean}, ${direct}`);
  }
});

Deno.test("measureBins() has the energies of the weights themselves", () => {
  for (const dtype of ["BF16", "F16"] as const) {
    const { x, counts, range } = block(weights(5000), dtype);
    for (const bits of [2, 4, 8] as const) {
      const params = estimateParams(range.lo, range.hi, bits, dtype);
      const sums = measureBins(listBins(counts), dtype, params, bits);
      const steps = stepsOf(x, params.scale, params.zero_point, bits);
      const direct = { signal: 0, decoded: 0, error: 0 };
      for (const [i, step] of steps.entries()) {
        direct.signal += x[i]! ** 2;
        direct.decoded += (step * params.scale) ** 2;
        direct.error += (x[i]! - step * params.scale) ** 2;
      }
      for (const key of ["signal", "decoded", "error"] as const) {
        assert.ok(Math.abs(sums[key] / direct[key] - 1) < 1e-4, `${key} at INT${bits}`);
      }
    }
  }
});

Deno.test("sortBins() and listBins() find the same bins, and rangeOfBins() the range", () => {
  for (const dtype of ["BF16", "F16"] as const) {
    for (
      const values of [[], [0], [-0, 0], [-2, -2, 1.5, 0, -0, 1.5], [...weights(300)], [-1], [3]]
    ) {
      const { x, counts } = block(Float32Array.from(values), dtype);
      const words = [...counts].flatMap((count, bin) => Array<number>(count).fill(bin));
      const bins = sortBins(Uint16Array.from(words.reverse()), new Uint32Array(words.length));
      assert.deepEqual(bins, listBins(counts), `${values}`);
      assert.equal(bins.count.reduce((a, b) => a + b, 0), x.length);
      const range = [Math.min(0, ...x) || 0, Math.max(0, ...x) || 0];
      assert.deepEqual(rangeOfBins(bins, dtype), range, `${values}`);
    }
  }
  for (const word of [0x7f80, 0xff80, 0x7fc0, 0xffc0]) {
    assert.deepEqual(
      rangeOfBins(sortBins(Uint16Array.of(0x3f80, word), new Uint32Array(2)), "BF16"),
      [NaN, NaN],
    );
  }
});

Deno.test("gatherCells() leaves out what is 20 octaves and more below the largest weight", () => {
  const { counts, range } = block(Float32Array.of(1, 2 ** -18, 2 ** -25, -(2 ** -25)), "BF16");
  assert.deepEqual([...gatherCells(listBins(counts), "BF16", range).count], [1, 1]);
});
