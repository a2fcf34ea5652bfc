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

/**
 * What an error by clipping counts, in search. With four groups of 8 and 6 bits the digits model has 36.8 and 26.2 dB
 * where it counts once, 38.0 and 27.9 where it counts twice, 38.8 and 27.8 where it counts four times; the KL of the
 * language model is .0038 and .10, .0042 and .19, .0048 and .30: one wants large errors to be rare, the other not.
 */
const CLIPPING = 2;

/** Parameters with what search goes by. */
interface RatedParams extends ChosenParams {
  cost: number;
}

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
      error: all.map(({ cost }) => cost / signal),
    };
  });
  return optimizePath(lists, bits, weight).path.map((chosen, g) => looked[g]![chosen]!);
}

function rateRange(
  inputs: InputSums,
  low: number,
  high: number,
  bits: CodeWidth,
): RatedParams {
  const params = paramsOfRange(low, high, bits);
  const { all, clipped } = errorOf(inputs, params, bits);
  return { ...params, error: all, cost: all + (CLIPPING - 1) * clipped };
}

/** The range of all inputs but few at each end. */
function rateTails(inputs: InputSums, bits: CodeWidth): RatedParams {
  return rateRange(inputs, quantileOf(inputs, TAIL), quantileOf(inputs, 1 - TAIL), bits);
}

/** Searches both ends; gives what was found, and all that was looked at. */
function searchRange(
  inputs: InputSums,
  bits: CodeWidth,
): { best: RatedParams; looked: RatedParams[] } {
  const { lo, hi } = inputs;
  const looked: RatedParams[] = [];
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
    for (const end of ["low", "high"] as const) {
      for (const share of SHARES) {
        const [a, b] = end === "low" ? [share, high] : [low, share];
        const found = rate(a * lo, b * hi);
        if (found.cost >= best.cost) continue;
        best = found;
        [low, high] = [a, b];
      }
    }
  }
  return { best: tails.cost < best.cost ? tails : best, looked };
}
