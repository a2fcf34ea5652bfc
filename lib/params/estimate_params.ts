/** From the range of each block to its scale and zero point. */

import { BadInputError } from "../base/errors.ts";
import { type FloatDtype, roundScale, roundScales } from "../safetensors/dtype.ts";
import { checkBits } from "../settings/check_settings.ts";
import { type Bits, middleOf, qmaxOf, type QuantParams, type Scheme } from "../types.ts";

/** Adding and subtracting 1.5 * 2^52 rounds a double below 2^51 to an integer, half to even. */
const ROUND = 1.5 * 2 ** 52;

/** Largest range of a block: above it the inverse of the scale would no longer be a normal F32. */
const MAX_RANGE = 2 ** 126;

/** Whether a block can be quantized at all: its range is known, and not too large. */
export function isWithinBounds({ lo, hi }: { lo: number; hi: number }): boolean {
  return hi - lo <= MAX_RANGE;
}

/** Rounds to the nearest integer, half to even. */
export function roundHalfEven(value: number): number {
  return Math.abs(value) < 2 ** 51 ? value + ROUND - ROUND : value;
}

/**
 * Parameters of an asymmetric quantizer over [lo, hi] (Jacob et al., "Quantization and Training of
 * Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3):
 * scale = (hi - lo) / qmax, rounded to F32 and to the stored dtype, kept within that dtype's range (`scaleRange`);
 * zero_point = clamp(round_half_even(-lo / scale), 0, qmax), from the stored scale.
 *
 * @param lo Smallest value of the block, or 0 if none is below it.
 * @param hi Largest value of the block, or 0 if none is above it; above `lo`.
 * @param dtype The dtype the scale is stored in.
 * @throws {BadInputError} The width is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(estimateParams(-1, 2, 2, "F32"), { scale: 1, zero_point: 1 });
 * ```
 */
export function estimateParams(lo: number, hi: number, bits: Bits, dtype: FloatDtype): QuantParams {
  checkBits(bits);
  checkRange(lo, hi);
  return estimateScheme(lo, hi, { bits, scaleDtype: dtype, symmetric: false });
}

/**
 * Parameters over [lo, hi] as {@linkcode estimateParams} gives them or, where they are to be symmetric, with
 * the middle code m = 2^(bits-1) as zero point and the least scale at which no value errs by more than half a
 * step: max(-lo / (m + 1/2), hi / (m - 1/2)), since there is one more code below 0 than above.
 */
export function estimateScheme(
  lo: number,
  hi: number,
  { bits, scaleDtype, symmetric }: Scheme,
): QuantParams {
  const qmax = qmaxOf(bits);
  const scale = roundScale(exactScale(lo, hi, bits, symmetric), scaleDtype);
  return { scale, zero_point: symmetric ? middleOf(bits) : zeroPointOf(lo, scale, qmax) };
}

function checkRange(lo: number, hi: number): void {
  if (isWithinBounds({ lo, hi })) return;
  throw new BadInputError(
    `Cannot estimate parameters over [${lo}, ${hi}]: both must be finite, and at most 2^126 apart`,
  );
}

/** The scale before it is rounded. */
function exactScale(lo: number, hi: number, bits: Bits, symmetric: boolean): number {
  if (!symmetric) return (hi - lo) / qmaxOf(bits);
  const middle = middleOf(bits);
  return Math.max(-lo / (middle + 0.5), hi / (middle - 0.5));
}

/** The zero point with which the lowest code is nearest to the lower end of a range. */
export function zeroPointOf(lo: number, scale: number, qmax: number): number {
  return clampCode(-lo / scale, qmax);
}

/** The code nearest to a value in steps: 0 to qmax. */
export function clampCode(value: number, qmax: number): number {
  return Math.min(Math.max(roundHalfEven(value), 0), qmax);
}

/** Parameters of blocks that share none, [blocks] each. */
export interface OwnBlockParams {
  /** Exact in the dtype it is stored in; 1 for an all-zero block. */
  scale: Float32Array;
  /** 0 to qmax; for an all-zero block the least that the scheme has. */
  zero_point: Uint8Array;
  /** Largest magnitude of a weight. */
  largest: Float32Array;
}

/**
 * Parameters of blocks that share none, each by its own range, see {@linkcode estimateParams}.
 *
 * @param ranges [blocks] smallest value of each, at most 0, and largest one, at least 0; NaN where there is none.
 * @param out Receives the parameters; of the same length.
 * @returns Whether every block can be quantized.
 */
export function estimateBlocks(
  { lo, hi }: { lo: Float32Array; hi: Float32Array },
  { bits, scaleDtype, symmetric }: Scheme,
  out: OwnBlockParams,
): boolean {
  const qmax = qmaxOf(bits);
  const { scale, zero_point, largest } = out;
  for (let block = 0; block < lo.length; block++) {
    const [least, most] = [lo[block]!, hi[block]!];
    if (!(most - least <= MAX_RANGE)) return false;
    largest[block] = -least > most ? -least : most;
    scale[block] = exactScale(least, most, bits, symmetric);
  }
  roundScales(scale, scaleDtype);
  if (symmetric) zero_point.fill(middleOf(bits));
  for (let block = 0; block < lo.length; block++) {
    if (largest[block] === 0) scale[block] = 1;
    if (!symmetric) zero_point[block] = zeroPointOf(lo[block]!, scale[block]!, qmax);
  }
  return true;
}

/**
 * Parameters of every block of a layer. An all-zero block takes the parameters of the same block in
 * the time group to its left; the first ones those of the nearest to the right; alone: 1, and the code of 0.
 *
 * @param lo [G*K] smallest value of each block, group by group; at most 0.
 * @param hi [G*K] largest value of each block; at least 0.
 * @param blocks Blocks side by side in a row: K.
 * @returns scale and zero_point, [G*K] each.
 */
export function estimateLayerParams(
  lo: Float32Array,
  hi: Float32Array,
  blocks: number,
  scheme: Scheme,
): { scale: Float32Array; zero_point: Uint8Array } {
  const scale = new Float32Array(lo.length);
  const zero_point = new Uint8Array(lo.length).fill(scheme.symmetric ? middleOf(scheme.bits) : 0);
  const isZero = (i: number) => lo[i] === 0 && hi[i] === 0;
  const copy = (to: number, from: number) => {
    scale[to] = scale[from]!;
    zero_point[to] = zero_point[from]!;
  };
  for (let block = 0; block < blocks; block++) {
    let first = -1;
    for (let i = block; i < lo.length; i += blocks) {
      if (isZero(i)) {
        if (first >= 0) copy(i, i - blocks);
        continue;
      }
      checkRange(lo[i]!, hi[i]!);
      const params = estimateScheme(lo[i]!, hi[i]!, scheme);
      scale[i] = params.scale;
      zero_point[i] = params.zero_point;
      if (first < 0) first = i;
    }
    for (let i = block; i < (first < 0 ? lo.length : first); i += blocks) {
      if (first >= 0) copy(i, first);
      else scale[i] = 1;
    }
  }
  return { scale, zero_point };
}
