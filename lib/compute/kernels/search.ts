/**
 * Searches the parameters of each block that lose least. Kept dull on purpose: it is what other kernels
 * are tested against.
 *
 * Of each block the candidates are its own scale (that of its range) times 2^(k/8), k = -12..1, with
 * each zero point, or the middle one alone where parameters are symmetric. Codes are made with that scale; the stored one is sum x^2 / sum x n, n = code -
 * zero_point, so that clipping does not shrink a layer's output. The candidate with the least sum of
 * |x - n scale|^3 is taken: a squared error clips large weights, which matter more to a model than
 * their number says.
 *
 * All sums are of integers, so that they are the same in any order and on any machine: weights, scales
 * and errors count in units of the largest weight / 2^14. That is finer than any difference between
 * candidates that matters.
 */

import { decodeFloats, floatBytes, type FloatDtype, roundScale } from "../../safetensors/dtype.ts";
import {
  blocksAcross,
  type FoundParams,
  type OwnParams,
  roundCodeScale,
  type SearchScheme,
  type Tile,
} from "../kernels.ts";
import { middleOf } from "../../types.ts";

/** The width of a code that a search is worth its time at: from 4 bits on it gains nothing over the range. */
export const SEARCHED_BITS = 2;

/** Largest code. */
const QMAX = 2 ** SEARCHED_BITS - 1;

/** The zero point of symmetric parameters. */
const MIDDLE = middleOf(SEARCHED_BITS);

/** Scales tried, in units of the block's own one, ascending. */
export const SEARCH_SCALES: Float64Array = Float64Array.from(
  { length: 14 },
  (_, i) => 2 ** ((i - 12) / 8),
);

/** The largest weight of a block in the units of the search. */
const SEARCH_UNITS = 2 ** 14;

/**
 * Scales in a row that are no better before the search of a block turns. On wide blocks the error rises
 * steadily on both sides of its least: the search begins at 1.15 times the root mean square, near which
 * that is, and goes up and down from there. On narrow ones the error is rugged, and all scales are tried.
 */
function patienceOf(columns: number): number {
  return columns < LOYAL_COLUMNS ? SEARCH_SCALES.length : columns < 128 ? 2 : 1;
}

/** From this many columns on, which of the middle zero points is better shows at the first scale. */
const LOYAL_COLUMNS = 64;

/** 1.15^2 / 2^(1/8): the first scale of a walk is the least whose square is this many mean squares. */
export const WALK_START: number = 1.15 ** 2 / 2 ** (1 / 8);

/** A candidate. */
interface Candidate {
  error: number;
  code: number;
  scale: number;
  zeroPoint: number;
}

/** A block in the units of the search. */
interface UnitBlock {
  /** Each weight: -2^14 to 2^14. */
  values: Int32Array;
  /** Units of 1. */
  unit: number;
  /** Sum of squares. */
  squares: number;
  /** The error of the negative and of the positive weights if they became 0. */
  lost: { negative: number; positive: number };
}

/** See {@linkcode Kernels.search}. */
export function search(
  bytes: Uint8Array,
  tile: Tile,
  own: OwnParams,
  scheme: SearchScheme,
): FoundParams {
  const { rows, columns, blockColumns, dtype } = tile;
  const found = {
    scale: own.scale.slice(),
    zero_point: own.zero_point.slice(),
    code_scale: own.scale.slice(),
  };
  const across = blocksAcross(tile);
  const values = new Float32Array(columns);
  const rowBytes = columns * floatBytes(dtype);
  for (let row = 0; row < rows; row++) {
    decodeFloats(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), dtype, values);
    for (let i = 0; i < across; i++) {
      const block = row * across + i;
      if (!(own.largest[block]! > 0)) continue;
      const weights = values.subarray(i * blockColumns, (i + 1) * blockColumns);
      const best = searchBlock(weights, own.largest[block]!, own.scale[block]!, scheme);
      if (best === undefined) continue;
      found.scale[block] = best.scale;
      found.zero_point[block] = best.zeroPoint;
      found.code_scale[block] = best.code;
    }
  }
  return found;
}

/** The best candidate of a block; `undefined` where none is possible. */
function searchBlock(
  weights: Float32Array,
  largest: number,
  own: number,
  { scaleDtype, symmetric }: SearchScheme,
): Candidate | undefined {
  const block = toUnits(weights, largest);
  let best: Candidate | undefined;
  const takeBetter = (code: number, zeroPoint: number): boolean => {
    const candidate = rate(block, code, zeroPoint, scaleDtype);
    if (candidate === undefined || candidate.error >= (best?.error ?? Infinity)) return false;
    best = candidate;
    return true;
  };
  let middle = symmetric ? [MIDDLE] : [1, 2];
  /** Tries the zero points that may be better; whether one was. */
  const tryScale = (k: number): boolean => {
    const code = codeScaleOf(own, k);
    let isBetter = false;
    for (const zeroPoint of middle) isBetter = takeBetter(code, zeroPoint) || isBetter;
    if (symmetric) return isBetter;
    // Without negative codes all negative weights are lost, and the other way round.
    const { negative, positive } = block.lost;
    if (negative < (best?.error ?? Infinity)) isBetter = takeBetter(code, 0) || isBetter;
    if (positive < (best?.error ?? Infinity)) isBetter = takeBetter(code, QMAX) || isBetter;
    return isBetter;
  };
  const patience = patienceOf(weights.length);
  const start = startOf(block, own);
  tryScale(start);
  const first: Candidate | undefined = best;
  if (weights.length >= LOYAL_COLUMNS && first !== undefined && middle.includes(first.zeroPoint)) {
    middle = [first.zeroPoint];
  }
  for (let k = start + 1, worse = 0; k < SEARCH_SCALES.length && worse < patience; k++) {
    worse = tryScale(k) ? 0 : worse + 1;
  }
  for (let k = start - 1, worse = 0; k >= 0 && worse < patience; k--) {
    worse = tryScale(k) ? 0 : worse + 1;
  }
  return best;
}

/** A scale of the grid. */
function codeScaleOf(own: number, k: number): number {
  return roundCodeScale(own * SEARCH_SCALES[k]!);
}

/** The scale that a walk begins with. */
function startOf({ values, unit, squares }: UnitBlock, own: number): number {
  const least = WALK_START * (squares / values.length);
  const last = SEARCH_SCALES.length - 1;
  let k = 0;
  while (k < last && (codeScaleOf(own, k) * unit) ** 2 < least) k++;
  return k;
}

function toUnits(weights: Float32Array, largest: number): UnitBlock {
  // A power of 2 does not change how a product is rounded, but keeps the unit finite.
  const shift = largest < 2 ** -64 ? 2 ** 64 : 1;
  const shifted = Math.fround(SEARCH_UNITS / (largest * shift));
  const block: UnitBlock = {
    values: new Int32Array(weights.length),
    unit: shifted * shift,
    squares: 0,
    lost: { negative: 0, positive: 0 },
  };
  for (let i = 0; i < weights.length; i++) {
    const value = roundHalfEven(Math.fround(weights[i]! * shift * shifted));
    block.values[i] = value;
    block.squares += value * value;
    block.lost[value < 0 ? "negative" : "positive"] += cube(Math.abs(value));
  }
  return block;
}

/** The third power of 0 to 2^14, in units of 2^15. */
function cube(distance: number): number {
  return ((distance * distance + 0x4000) >> 15) * distance;
}

/** Rounds to an integer, half to even: adding 1.5 * 2^52 leaves no room for a fraction. */
function roundHalfEven(value: number): number {
  return value + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}

/** Rates a scale of the codes and a zero point; `undefined` where they are of no use. */
function rate(
  { values, unit, squares }: UnitBlock,
  code: number,
  zeroPoint: number,
  scaleDtype: FloatDtype,
): Candidate | undefined {
  const step = code * unit;
  const [lowest, highest] = [-zeroPoint, QMAX - zeroPoint];
  const edges = [0.5, 1.5, 2.5].map((half) => Math.floor(half * step));
  const stepsOf = (value: number) => {
    const size = Math.abs(value);
    const steps = edges.filter((edge) => size > edge).length;
    return Math.max(lowest, Math.min(highest, value < 0 ? -steps : steps));
  };
  let product = 0;
  for (const value of values) product += value * stepsOf(value);
  if (!(product > 0)) return undefined;
  const scale = roundScale(squares / unit / product, scaleDtype);
  const stored = Math.floor(scale * unit + 0.5);
  for (let steps = 1; steps <= Math.max(zeroPoint, highest); steps++) {
    const edge = (steps - 0.5) * step;
    // Nothing sensible decodes a weight to more than twice the largest one.
    if (edge < SEARCH_UNITS && steps * stored - edge > SEARCH_UNITS) return undefined;
  }
  let error = 0;
  for (const value of values) error += cube(Math.abs(value - stepsOf(value) * stored));
  return { error, code, scale, zeroPoint };
}
