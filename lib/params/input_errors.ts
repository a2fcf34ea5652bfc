/** What a quantizer of inputs comes to, from histograms of these: expected squared errors, without the inputs. */

import { clampCode } from "./estimate_params.ts";
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
  const { from, width, lo, hi } = axis;
  let right = Math.min(hi, Math.max(lo, from));
  let [n, s, q] = [0, 0, 0];
  for (let bin = 0; bin < bins; bin++) {
    const count = counts[bin]!;
    const left = right;
    const end = from + (bin + 1) * width;
    right = end > hi ? hi : end > left ? end : left;
    // Most bins of a histogram are empty.
    if (count !== 0) {
      n += count;
      s += count * (left + right) / 2;
      q += count * (left * left + left * right + right * right) / 3;
    }
    sums.count[bin + 1] = n;
    sums.first[bin + 1] = s;
    sums.second[bin + 1] = q;
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

/**
 * The sum of (x - v)^2 over all inputs, v what the code of x decodes to: code = clamp(round(x / scale) +
 * zero_point, 0, qmax), v = (code - zero_point) scale. Inputs are spread evenly over their bin.
 */
export function errorOf(
  sums: InputSums,
  { scale, zero_point }: QuantParams,
  bits: CodeWidth,
): number {
  const { from, width, lo, hi, count, first, second } = sums;
  const last = count.length - 2;
  const least = clampCode(lo / scale + zero_point, qmaxOf(bits));
  const most = clampCode(hi / scale + zero_point, qmaxOf(bits));
  // Without objects for each code: a search asks for some hundred thousand of them.
  let [n, s, q] = [0, 0, 0];
  let error = 0;
  for (let code = least; code <= most; code++) {
    const value = (code - zero_point) * scale;
    let [m, t, r] = [count[last + 1]!, first[last + 1]!, second[last + 1]!];
    const x = value + scale / 2;
    if (code < most && x < hi) {
      const bin = Math.min(last, Math.max(0, Math.floor((x - from) / width)));
      const left = Math.max(lo, from + bin * width);
      const right = Math.min(hi, from + (bin + 1) * width);
      const to = Math.min(right, Math.max(left, x));
      // Where nothing of the bin is left, all of its inputs are the same one.
      const share = right > left ? (to - left) / (right - left) : Number(x >= left);
      const inside = share * (count[bin + 1]! - count[bin]!);
      m = count[bin]! + inside;
      t = first[bin]! + inside * (left + to) / 2;
      r = second[bin]! + inside * (left * left + left * to + to * to) / 3;
    }
    // What is left of sums that nearly cancel is not below 0.
    error += Math.max(0, r - q - 2 * value * (t - s) + value * value * (m - n));
    n = m;
    s = t;
    q = r;
  }
  return error;
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
