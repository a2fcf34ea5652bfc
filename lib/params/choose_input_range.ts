/** Chooses the range of a quantizer of inputs: from the least to the largest, nearly all of them, or for the least error. */

import { type ActivationRange, type CodeWidth, qmaxOf, type QuantParams } from "../types.ts";
import { roundScale } from "../safetensors/dtype.ts";
import { zeroPointOf } from "./estimate_params.ts";
import { errorOf, type InputSums, quantileOf, signalOf } from "./input_errors.ts";
import { optimizePath } from "./optimize_path.ts";

/** Parameters, and the sum of squared errors that is expected of them. */
export interface ChosenParams extends QuantParams {
  error: number;
}

/** Shares of the range that an end may be brought down to in search. */
const SHARES = Array.from({ length: 24 }, (_, i) => 1 - i / 25);

/** What p99.9 leaves out at each end. */
const TAIL = 0.0005;

/** Times that both ends are searched one after the other. */
const ROUNDS = 2;

/**
 * Parameters of an asymmetric quantizer of inputs, per tensor: scale = (hi - lo) / qmax as F32, 0 representable.
 *
 * @param lo Least value, or 0.
 * @param hi Largest value, or 0.
 */
export function paramsOfRange(lo: number, hi: number, bits: CodeWidth): QuantParams {
  const [least, most] = [Math.min(0, lo), Math.max(0, hi)];
  if (least === most) return { scale: 1, zero_point: 0 };
  const scale = roundScale((most - least) / qmaxOf(bits), "F32");
  return { scale, zero_point: zeroPointOf(least, scale, qmaxOf(bits)) };
}

/** Chooses parameters; `optimize` brings both ends in, one after the other, to where the error is least. */
export function chooseInputParams(
  inputs: InputSums,
  range: ActivationRange,
  bits: CodeWidth,
): ChosenParams {
  if (range === "minmax") return rateRange(inputs, inputs.lo, inputs.hi, bits);
  return range === "p99.9" ? rateTails(inputs, bits) : searchRange(inputs, bits).best;
}

/** Width of the codes by whose errors inputs are compared, however wide those of a run are. */
const USUAL_BITS = 8;

/** The relative error of inputs at 8 bits, with the better of the ranges that need no search. */
export function rateInputs(inputs: InputSums): number {
  const signal = signalOf(inputs);
  if (!(signal > 0)) return 0;
  const ways = ["minmax", "p99.9"] as const;
  return Math.min(...ways.map((way) => chooseInputParams(inputs, way, USUAL_BITS).error)) / signal;
}

/**
 * Chooses the parameters of all time groups together, for the least sum of their relative errors and of `weight`
 * times their jumps: among what the search of each group looks at, see {@linkcode optimizePath}.
 */
export function coupleInputs(
  groups: readonly InputSums[],
  bits: CodeWidth,
  weight: number,
): ChosenParams[] {
  const looked = groups.map((inputs) => searchRange(inputs, bits).looked);
  const lists = looked.map((all, g) => {
    const signal = signalOf(groups[g]!) || 1;
    return {
      scale: all.map(({ scale }) => scale),
      zero_point: all.map(({ zero_point }) => zero_point),
      error: all.map(({ error }) => error / signal),
    };
  });
  return optimizePath(lists, bits, weight).path.map((chosen, g) => looked[g]![chosen]!);
}

function rateRange(
  inputs: InputSums,
  low: number,
  high: number,
  bits: CodeWidth,
): ChosenParams {
  const params = paramsOfRange(low, high, bits);
  return { ...params, error: errorOf(inputs, params, bits) };
}

/** The range of all inputs but few at each end. */
function rateTails(inputs: InputSums, bits: CodeWidth): ChosenParams {
  return rateRange(inputs, quantileOf(inputs, TAIL), quantileOf(inputs, 1 - TAIL), bits);
}

/** Searches both ends; gives what was found, and all that was looked at. */
function searchRange(
  inputs: InputSums,
  bits: CodeWidth,
): { best: ChosenParams; looked: ChosenParams[] } {
  const { lo, hi } = inputs;
  const looked: ChosenParams[] = [];
  const rate = (low: number, high: number) => {
    const rated = rateRange(inputs, low, high, bits);
    looked.push(rated);
    return rated;
  };
  const tails = rateTails(inputs, bits);
  looked.push(tails);
  let best = rate(lo, hi);
  let [low, high] = [1, 1];
  for (let round = 0; round < ROUNDS; round++) {
    const before = low;
    for (const end of ["low", "high"] as const) {
      // Those of the round before, again.
      if (round > 0 && end === "high" && low === before) break;
      for (const share of SHARES) {
        const [a, b] = end === "low" ? [share, high] : [low, share];
        const found = rate(a * lo, b * hi);
        if (found.error >= best.error) continue;
        best = found;
        [low, high] = [a, b];
      }
    }
  }
  return { best: tails.error < best.error ? tails : best, looked };
}
