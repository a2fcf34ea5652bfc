/** Reads which values a block's weights have and how often: as cells of uniform density, and value by value. */

import { decodeFloats, type FloatDtype } from "../safetensors/dtype.ts";
import { roundHalfEven } from "./estimate_params.ts";
import { BINS, type Bits, qmaxOf, type QualitySums } from "../types.ts";

/** Bins of one sign: the sign is the highest bit. */
const HALF = BINS / 2;

/** Bits of the mantissa among the upper 16 of each dtype. */
const MANTISSA: Record<FloatDtype, number> = { BF16: 7, F32: 7, F16: 10 };

/** Cells in an octave, as a power of 2: each is at most a 16th of its values wide. */
const CELLS_IN_OCTAVE = 4;

/** Octaves below the largest weight that are looked at: what is smaller adds nothing to any sum. */
const OCTAVES = 20;

/** Cells at most: of both signs. */
export const MAX_CELLS = 2 * (OCTAVES << CELLS_IN_OCTAVE);

/** Cells that were gathered last: made once, since a block of a few weights is gathered in less time than they are. */
const cells = {
  from: new Float64Array(MAX_CELLS),
  to: new Float64Array(MAX_CELLS),
  count: new Float64Array(MAX_CELLS),
};

/** Weights as runs of equal density. */
export interface Cells {
  /** [N] where each begins. */
  from: Float64Array;
  /** [N] where each ends; not below `from`. */
  to: Float64Array;
  /** [N] weights in it, above 0. */
  count: Float64Array;
}

/** The value of each bin of a dtype; of a F32 the one nearest to 0. */
const decodedBins = new Map<FloatDtype, Float32Array>();

function valuesOf(dtype: FloatDtype): Float32Array {
  const known = decodedBins.get(dtype);
  if (known !== undefined) return known;
  const bits = Uint16Array.from({ length: BINS }, (_, bin) => bin);
  const decoded = new Float32Array(BINS);
  decodeFloats(new Uint8Array(bits.buffer), dtype === "F16" ? "F16" : "BF16", decoded);
  decodedBins.set(dtype, decoded);
  return decoded;
}

/** The bin of a positive value. */
function binOf(value: number, dtype: FloatDtype): number {
  if (dtype === "F16") return new Uint16Array(Float16Array.of(value).buffer)[0]!;
  return new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;
}

/** The bins in use of a block's weights, by the upper 16 bits of their representation: [N] each. */
export interface UsedBins {
  /** Ascending. */
  bin: Uint16Array;
  /** Weights in it, above 0. */
  count: Uint32Array;
}

/** Bins that are in use. */
const scratch = new Uint16Array(BINS);

/**
 * The bins in use of a histogram.
 *
 * @param counts [BINS].
 */
export function listBins(counts: Uint32Array): UsedBins {
  let used = 0;
  for (let bin = 0; bin < BINS; bin++) {
    if (counts[bin] !== 0) scratch[used++] = bin;
  }
  const bin = scratch.slice(0, used);
  return { bin, count: Uint32Array.from(bin, (bin) => counts[bin]!) };
}

/**
 * The bins in use of a few weights, for which a histogram of all bins would cost more than they do: views of what
 * is given.
 *
 * @param words The upper 16 bits of each weight; sorted in place, and the bins take their place.
 * @param count Gets how often they occur: as many as words at most.
 */
export function sortBins(words: Uint16Array, count: Uint32Array): UsedBins {
  words.sort();
  let used = 0;
  for (let i = 0; i < words.length; used++) {
    const bin = words[i]!;
    const from = i;
    while (i < words.length && words[i] === bin) i++;
    words[used] = bin;
    count[used] = i - from;
  }
  return { bin: words.subarray(0, used), count: count.subarray(0, used) };
}

/** How many of the bins are of positive values: these come first. */
function countPositive({ bin }: UsedBins): number {
  let [from, to] = [0, bin.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (bin[middle]! < HALF) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * Gathers bins to cells, 16 in an octave, in ascending order. A bin of BF16 or F16 stands for all that
 * rounds to its value, one of F32 for all that begins with its bits.
 *
 * @param range.lo Smallest value; no cell goes beyond.
 * @param range.hi Largest value.
 * @returns Views of where the cells of the next block are gathered.
 */
export function gatherCells(
  bins: UsedBins,
  dtype: FloatDtype,
  { lo, hi }: { lo: number; hi: number },
): Cells {
  const value = valuesOf(dtype);
  const shift = MANTISSA[dtype] - CELLS_IN_OCTAVE;
  const width = 2 ** shift;
  const offset = dtype === "F32" ? 0 : 1 / (2 * width);
  const end = (binOf(Math.max(-lo, hi), dtype) >>> shift) + 1;
  const begin = Math.max(0, end - (OCTAVES << CELLS_IN_OCTAVE));
  const { bin, count } = bins;
  let used = 0;
  const add = (cell: number, isNegative: boolean, weights: number) => {
    const first = cell << shift;
    const near = value[first]!;
    const next = value[first + width]!;
    // Behind the largest F16 comes infinity.
    const far = Number.isFinite(next) ? next : 2 * near - value[first - width]!;
    const half = (far - near) * offset;
    // Neither the sign nor the range holds what an edge may be rounded to.
    const [inner, outer] = [Math.max(0, near - half), far - half];
    const least = Math.max(isNegative ? -outer : inner, lo);
    const most = Math.min(isNegative ? -inner : outer, hi);
    cells.from[used] = Math.min(least, most);
    cells.to[used] = Math.max(least, most);
    cells.count[used++] = weights;
  };
  /** Adds the cells of a run of bins, whose magnitudes ascend or descend all along. */
  const addRun = (from: number, to: number, step: 1 | -1) => {
    for (let i = from; i !== to;) {
      const cell = (bin[i]! & (HALF - 1)) >>> shift;
      let weights = 0;
      for (; i !== to && (bin[i]! & (HALF - 1)) >>> shift === cell; i += step) weights += count[i]!;
      if (cell >= begin && cell < end) add(cell, step < 0, weights);
    }
  };
  const positive = countPositive(bins);
  // From the lowest negative value up, then from the least positive one.
  addRun(bin.length - 1, positive - 1, -1);
  addRun(0, positive, 1);
  return {
    from: cells.from.subarray(0, used),
    to: cells.to.subarray(0, used),
    count: cells.count.subarray(0, used),
  };
}

/**
 * The range of a block of BF16 or F16 weights, each of whose bins holds one value: [lo, hi], lo at most
 * and hi at least 0; NaN both where a weight is infinite or NaN.
 */
export function rangeOfBins(bins: UsedBins, dtype: "BF16" | "F16"): [number, number] {
  const value = valuesOf(dtype);
  const positive = countPositive(bins);
  // The values beyond the finite ones are the largest of all.
  const lo = positive < bins.bin.length ? value[bins.bin.at(-1)!]! : 0;
  const hi = positive > 0 ? value[bins.bin[positive - 1]!]! : 0;
  return Number.isFinite(lo) && Number.isFinite(hi) ? [lo === 0 ? 0 : lo, hi] : [NaN, NaN];
}

/** Parameters of a block. */
export interface CodeParams {
  /** Scale as stored. */
  scale: number;
  /** 0 to qmax. */
  zero_point: number;
  /** Scale that makes the codes; `scale` unless given. */
  code_scale?: number;
}

/** The energies of a block of BF16 or F16 weights quantized with given parameters: exactly those of its weights. */
export function measureBins(
  { bin, count }: UsedBins,
  dtype: "BF16" | "F16",
  { scale, zero_point, code_scale = scale }: CodeParams,
  bits: Bits,
): QualitySums {
  const value = valuesOf(dtype);
  const inverse = Math.fround(1 / code_scale);
  const [least, most] = [-zero_point, qmaxOf(bits) - zero_point];
  let [signal, decoded, error] = [0, 0, 0];
  for (let i = 0; i < count.length; i++) {
    const x = value[bin[i]!]!;
    const step = Math.min(Math.max(roundHalfEven(Math.fround(x * inverse)), least), most);
    const back = step * scale;
    signal += count[i]! * x ** 2;
    decoded += count[i]! * back ** 2;
    error += count[i]! * (x - back) ** 2;
  }
  return { signal, decoded, error };
}
