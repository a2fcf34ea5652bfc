/** What a quantizer of inputs comes to, from histograms of these: expected squared errors, without the inputs. */

import { roundHalfEven } from "./estimate_params.ts";
import { type CodeWidth, qmaxOf, type QuantParams } from "../types.ts";

/** A histogram of inputs, in bins of equal width. */
export interface InputHistogram {
  /** Left end of the first bin. */
  from: number;
  /** Width of a bin, above 0. */
  width: number;
  /** [bins]. */
  counts: ArrayLike<number>;
  /** The least input. */
  lo: number;
  /** The largest. */
  hi: number;
}

/**
 * Sums over the inputs below each edge of a histogram: [bins + 1] each. Inputs are spread evenly over what of their
 * bin lies between the least and the largest.
 */
export interface InputSums extends Omit<InputHistogram, "counts"> {
  /** How many. */
  count: Float64Array;
  /** Of x. */
  first: Float64Array;
  /** Of x^2. */
  second: Float64Array;
}

/** Adds a histogram up, bin by bin. */
export function addUp({ counts, ...axis }: InputHistogram): InputSums {
  const bins = counts.length;
  const sums: InputSums = {
    ...axis,
    count: new Float64Array(bins + 1),
    first: new Float64Array(bins + 1),
    second: new Float64Array(bins + 1),
  };
  for (let bin = 0; bin < bins; bin++) {
    const count = counts[bin]!;
    const [left, right] = endsOf(axis, bin);
    sums.count[bin + 1] = sums.count[bin]! + count;
    sums.first[bin + 1] = sums.first[bin]! + count * (left + right) / 2;
    sums.second[bin + 1] = sums.second[bin]! +
      count * (left * left + left * right + right * right) / 3;
  }
  return sums;
}

/** What of a bin inputs may lie in. */
function endsOf(
  { from, width, lo, hi }: Omit<InputHistogram, "counts">,
  bin: number,
): [left: number, right: number] {
  const left = Math.min(hi, Math.max(lo, from + bin * width));
  return [left, Math.min(hi, Math.max(left, from + (bin + 1) * width))];
}

/** The sum of x^2 over all inputs. */
export function signalOf({ second }: InputSums): number {
  return second.at(-1)!;
}

/** Errors of a quantizer: sums of (x - v)^2. */
export interface InputError {
  /** Of all inputs. */
  all: number;
  /** Of those that are clipped: by more than half a step. */
  clipped: number;
}

/**
 * The sum of (x - v)^2 over all inputs, v what the code of x decodes to: code = clamp(round(x / scale) +
 * zero_point, 0, qmax), v = (code - zero_point) scale. Inputs are spread evenly over their bin.
 */
export function errorOf(
  sums: InputSums,
  { scale, zero_point }: QuantParams,
  bits: CodeWidth,
): InputError {
  const { lo, hi } = sums;
  const [least, most] = [lo, hi].map((x) => clampCode(x / scale + zero_point, bits)) as [
    number,
    number,
  ];
  let left = sumsBelow(sums, lo);
  let all = 0;
  for (let code = least; code <= most; code++) {
    const value = (code - zero_point) * scale;
    const right = sumsBelow(sums, code < most ? value + scale / 2 : hi);
    all += errorBetween(left, right, value);
    left = right;
  }
  const [lowest, highest] = [least, most].map((code) => (code - zero_point) * scale) as [
    number,
    number,
  ];
  const below = errorBetween(sumsBelow(sums, lo), sumsBelow(sums, lowest - scale / 2), lowest);
  const above = errorBetween(sumsBelow(sums, highest + scale / 2), sumsBelow(sums, hi), highest);
  return { all, clipped: below + above };
}

/** Sums over the inputs below a value. */
function sumsBelow(
  sums: InputSums,
  x: number,
): [count: number, first: number, second: number] {
  const { from, width, hi, count, first, second } = sums;
  const bins = count.length - 1;
  const bin = Math.min(bins - 1, Math.max(0, Math.floor((Math.min(x, hi) - from) / width)));
  const [left, right] = endsOf(sums, bin);
  const to = Math.min(right, Math.max(left, x));
  // Where nothing of the bin is left, all of its inputs are the same one.
  const share = right > left ? (to - left) / (right - left) : Number(x >= left);
  const inside = share * (count[bin + 1]! - count[bin]!);
  return [
    count[bin]! + inside,
    first[bin]! + inside * (left + to) / 2,
    second[bin]! + inside * (left * left + left * to + to * to) / 3,
  ];
}

/** The sum of (x - v)^2 over inputs between two values; what is left of sums that nearly cancel is not below 0. */
function errorBetween(
  [n, s, q]: readonly [number, number, number],
  [m, t, r]: readonly [number, number, number],
  value: number,
): number {
  return Math.max(0, r - q - 2 * value * (t - s) + value * value * (m - n));
}

function clampCode(value: number, bits: CodeWidth): number {
  return Math.min(qmaxOf(bits), Math.max(0, roundHalfEven(value)));
}

/** The input below which a share of all lie. */
export function quantileOf(sums: InputSums, share: number): number {
  const { count } = sums;
  const wanted = share * count.at(-1)!;
  let [low, high] = [0, count.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (count[middle]! <= wanted) low = middle;
    else high = middle;
  }
  const inside = count[high]! - count[low]!;
  const [left, right] = endsOf(sums, low);
  return left + (inside > 0 ? (right - left) * (wanted - count[low]!) / inside : 0);
}
