/** Reads the histogram of a block's weights: as cells of uniform density, and value by value. */

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

/**
 * Gathers bins to cells, 16 in an octave, in ascending order. A bin of BF16 or F16 stands for all that
 * rounds to its value, one of F32 for all that begins with its bits.
 *
 * @param counts [BINS].
 * @param range.lo Smallest value; no cell goes beyond.
 * @param range.hi Largest value.
 */
export function gatherCells(
  counts: Uint32Array,
  dtype: FloatDtype,
  { lo, hi }: { lo: number; hi: number },
): Cells {
  const value = valuesOf(dtype);
  const width = 2 ** (MANTISSA[dtype] - CELLS_IN_OCTAVE);
  const offset = dtype === "F32" ? 0 : 1 / (2 * width);
  const end = Math.floor(binOf(Math.max(-lo, hi), dtype) / width) + 1;
  const begin = Math.max(0, end - (OCTAVES << CELLS_IN_OCTAVE));
  const size = 2 * (end - begin);
  const cells = {
    from: new Float64Array(size),
    to: new Float64Array(size),
    count: new Float64Array(size),
  };
  let used = 0;
  for (let i = 0; i < size; i++) {
    // From the lowest negative value up, then from the least positive one.
    const isNegative = i < size / 2;
    const first = (isNegative ? end - 1 - i : begin + i - size / 2) * width;
    const sign = isNegative ? HALF : 0;
    let count = 0;
    for (let bin = sign + first; bin < sign + first + width; bin++) count += counts[bin]!;
    if (count === 0) continue;
    const near = value[first]!;
    const next = value[first + width]!;
    // Behind the largest F16 comes infinity.
    const far = Number.isFinite(next) ? next : 2 * near - value[first - width]!;
    const shift = (far - near) * offset;
    // Neither the sign nor the range holds what an edge may be rounded to.
    const [inner, outer] = [Math.max(0, near - shift), far - shift];
    const least = Math.max(isNegative ? -outer : inner, lo);
    const most = Math.min(isNegative ? -inner : outer, hi);
    cells.from[used] = Math.min(least, most);
    cells.to[used] = Math.max(least, most);
    cells.count[used++] = count;
  }
  return {
    from: cells.from.subarray(0, used),
    to: cells.to.subarray(0, used),
    count: cells.count.subarray(0, used),
  };
}

/** The values of a block and how often each occurs: [N] each. */
export interface ValueCounts {
  /** Ascending by their bits. */
  value: Float32Array;
  /** Above 0. */
  count: Uint32Array;
}

/** Bins that are in use. */
const scratch = new Uint16Array(BINS);

/**
 * The values of a block of BF16 or F16 weights: each of their bins holds one.
 *
 * @param counts [BINS]; all weights finite.
 */
export function listValues(counts: Uint32Array, dtype: "BF16" | "F16"): ValueCounts {
  const valueOf = valuesOf(dtype);
  let used = 0;
  for (let bin = 0; bin < BINS; bin++) {
    if (counts[bin] !== 0) scratch[used++] = bin;
  }
  const found = { value: new Float32Array(used), count: new Uint32Array(used) };
  for (let i = 0; i < used; i++) {
    const bin = scratch[i]!;
    found.value[i] = valueOf[bin]!;
    found.count[i] = counts[bin]!;
  }
  return found;
}

/**
 * The range of a block of BF16 or F16 weights: [lo, hi], lo at most and hi at least 0; NaN both where a
 * weight is infinite or NaN.
 *
 * @param counts [BINS].
 */
export function rangeOfCounts(counts: Uint32Array, dtype: "BF16" | "F16"): [number, number] {
  const value = valuesOf(dtype);
  const largest = (sign: number) => {
    let bin = HALF - 1;
    while (bin > 0 && counts[sign + bin] === 0) bin--;
    return value[sign + bin]!;
  };
  const [lo, hi] = [largest(HALF), largest(0)];
  // The values beyond the finite ones are the largest of all.
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

/** The energies of a block quantized with given parameters: exactly those of its weights. */
export function measureValues(
  { value, count }: ValueCounts,
  { scale, zero_point, code_scale = scale }: CodeParams,
  bits: Bits,
): QualitySums {
  const inverse = Math.fround(1 / code_scale);
  const [least, most] = [-zero_point, qmaxOf(bits) - zero_point];
  const sums = { signal: 0, decoded: 0, error: 0 };
  for (let i = 0; i < count.length; i++) {
    const x = value[i]!;
    const step = Math.min(Math.max(roundHalfEven(Math.fround(x * inverse)), least), most);
    const decoded = step * scale;
    sums.signal += count[i]! * x ** 2;
    sums.decoded += count[i]! * decoded ** 2;
    sums.error += count[i]! * (x - decoded) ** 2;
  }
  return sums;
}
