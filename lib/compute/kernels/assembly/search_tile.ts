// AssemblyScript: searches the parameters of the blocks of a tile. The plain twin is ../search.ts, which
// says what is searched and why; every sum here is of integers, so that the choice is the same.
//
// Of block b lie at b * 12: the largest weight F32, its own scale F32, its own zero point I32; the host
// reads there the scale of the codes, the stored scale and the zero point afterwards.

import { loadEven, loadOdd, load1, ROUND } from "./load_weights";

/** Bytes of a group of weights: as many as an I32 holds the sums of cubes of. */
const GROUP_BYTES: usize = 64;

/** Bytes of the weights whose products with steps an I32 holds. */
const CHUNK_BYTES: usize = 131072;

/** The largest weight in the units of the search. */
const UNITS: f64 = 16384.0;

// As in ../search.ts.
const SCALES = 14;
const LOYAL_COLUMNS = 64;

// The block at work.
let values: usize = 0;
let steps: usize = 0;
let bytes: usize = 0;
let unit: f64 = 0;
let squares: f64 = 0;
let ratio: f64 = 0;
let lostNegative: f64 = 0;
let lostPositive: f64 = 0;
let own: f32 = 0;
let powers: usize = 0;
let scaleKind: i32 = 0;
let isSymmetric: bool = false;

// The best candidate so far.
let bestError: f64 = 0;
let bestCode: f32 = 0;
let bestScale: f32 = 0;
let bestZeroPoint: i32 = 0;

/** The four lanes in double precision; all are exact. */
// @ts-ignore: decorator
@inline
function total32(lanes: v128): f64 {
  return total64(i64x2.add(i64x2.extend_low_i32x4_s(lanes), i64x2.extend_high_i32x4_s(lanes)));
}

// @ts-ignore: decorator
@inline
function total64(lanes: v128): f64 {
  return ((i64x2.extract_lane(lanes, 0) + i64x2.extract_lane(lanes, 1)) as f64);
}

// @ts-ignore: decorator
@inline
function widenTo64(sums: v128, lanes: v128): v128 {
  return i64x2.add(sums, i64x2.add(i64x2.extend_low_i32x4_s(lanes), i64x2.extend_high_i32x4_s(lanes)));
}

/** Third powers of eight distances, added up in pairs, in units of 2^15. */
// @ts-ignore: decorator
@inline
function cubes(distances: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.q15mulr_sat_s(distances, distances), distances);
}

/** Takes the weights of a block into the units of the search; zeros fill the last group. */
// @ts-ignore: decorator
@inline
function takeBlock(kind: i32, input: usize, count: i32, inverse: f32): void {
  const shift: usize = kind == 2 ? 2 : 1;
  const factor = f32x4.splat(inverse);
  const round = f32x4.splat(ROUND);
  let to = values;
  for (let i = count >> 3; i > 0; i--) {
    const even = i32x4.sub(f32x4.add(f32x4.mul(loadEven(kind, input), factor), round), round);
    const odd = i32x4.sub(f32x4.add(f32x4.mul(loadOdd(kind, input), factor), round), round);
    v128.store(to, i16x8.narrow_i32x4_s(even, odd));
    input += 8 << shift;
    to += 16;
  }
  for (let i = count & 7; i > 0; i--) {
    store<i16>(to, (((load1(kind, input) * inverse + ROUND) - ROUND) as i32) as i16);
    input += 1 << shift;
    to += 2;
  }
  bytes = ((count as usize) * 2 + GROUP_BYTES - 1) & ~(GROUP_BYTES - 1);
  for (const end = values + bytes; to < end; to += 2) store<i16>(to, 0);
  let square = i64x2.splat(0);
  let negative = i64x2.splat(0);
  let positive = i64x2.splat(0);
  for (let at = values; at < values + bytes; at += GROUP_BYTES) {
    let squares4 = i32x4.splat(0);
    let negative4 = i32x4.splat(0);
    let all4 = i32x4.splat(0);
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      const x = v128.load(at + i);
      const size = i16x8.abs(x);
      const high = i16x8.q15mulr_sat_s(x, x);
      squares4 = i32x4.add(squares4, i32x4.dot_i16x8_s(x, x));
      all4 = i32x4.add(all4, i32x4.dot_i16x8_s(high, size));
      negative4 = i32x4.add(negative4, i32x4.dot_i16x8_s(high, v128.and(size, i16x8.shr_s(x, 15))));
    }
    // As many squares as four of 2^28 in pairs fill all 32 bits.
    square = i64x2.add(square, i64x2.add(i64x2.extend_low_i32x4_u(squares4), i64x2.extend_high_i32x4_u(squares4)));
    negative = widenTo64(negative, negative4);
    positive = widenTo64(positive, i32x4.sub(all4, negative4));
  }
  squares = total64(square);
  ratio = squares / unit;
  lostNegative = total64(negative);
  lostPositive = total64(positive);
}

/** Rounds a scale to the dtype it is stored in: 0 BF16, 1 F16, 2 F32; a F16 is kept in its range. */
function roundScale(value: f32): f32 {
  if (scaleKind == 2) return value;
  const bits = reinterpret<u32>(value);
  if (scaleKind == 0) return reinterpret<f32>((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
  // Below 2^-14 the steps of F16 are 2^-24, which is the last place of 0.75.
  if (value < 0.00006103515625) return max((value + 0.75) - 0.75, <f32>0.000000059604644775390625);
  return min(reinterpret<f32>((bits + 0xfff + ((bits >> 13) & 1)) & 0xffffe000), <f32>65504);
}

/** Whether no weight would decode to more than twice the largest one. */
// @ts-ignore: decorator
@inline
function isSensible(stored: f64, step: f64, most: i32): bool {
  for (let steps = 1; steps <= most; steps++) {
    const edge = ((steps as f64) - 0.5) * step;
    if (edge < UNITS && (steps as f64) * stored - edge > UNITS) return false;
  }
  return true;
}

/** Third powers of what eight weights lose with steps of a stored scale. */
// @ts-ignore: decorator
@inline
function lossAt(weights: usize, steps: usize, stored: v128): v128 {
  return cubes(i16x8.abs(i16x8.sub(v128.load(weights), i16x8.mul(v128.load(steps), stored))));
}

/** The same of a group of weights; an I32 holds the sums. */
// @ts-ignore: decorator
@inline
function lossOfGroup(weights: usize, steps: usize, stored: v128): v128 {
  return i32x4.add(
    i32x4.add(lossAt(weights, steps, stored), lossAt(weights + 16, steps + 16, stored)),
    i32x4.add(lossAt(weights + 32, steps + 32, stored), lossAt(weights + 48, steps + 48, stored)),
  );
}

/** The steps of eight weights with a zero point; a mask counts as -1. */
// @ts-ignore: decorator
@inline
function stepsOf(zeroPoint: i32, x: v128, first: v128, second: v128, third: v128): v128 {
  if (zeroPoint == 0) {
    return i16x8.neg(i16x8.add(i16x8.add(i16x8.gt_s(x, first), i16x8.gt_s(x, second)), i16x8.gt_s(x, third)));
  }
  if (zeroPoint == 1) {
    return i16x8.sub(i16x8.sub(i16x8.lt_s(x, third), i16x8.gt_s(x, first)), i16x8.gt_s(x, second));
  }
  if (zeroPoint == 2) {
    return i16x8.sub(i16x8.add(i16x8.lt_s(x, third), i16x8.lt_s(x, second)), i16x8.gt_s(x, first));
  }
  return i16x8.add(i16x8.add(i16x8.lt_s(x, first), i16x8.lt_s(x, second)), i16x8.lt_s(x, third));
}

/** Rates a scale of the codes with one zero point, and takes the two if they are better. */
// @ts-ignore: decorator
@inline
function tryCandidate(code: f32, zeroPoint: i32): bool {
  const weights = values;
  const toSteps = steps - weights;
  const end = weights + bytes;
  const step = (code as f64) * unit;
  const half = min(32767, Math.floor(0.5 * step) as i32);
  const oneAndHalf = min(32767, Math.floor(1.5 * step) as i32);
  // Beyond the largest I16 no weight lies.
  const twoAndHalf = min(32767, Math.floor(2.5 * step) as i32);
  const first = i16x8.splat((zeroPoint == 3 ? -half : half) as i16);
  const second = i16x8.splat((zeroPoint > 1 ? -oneAndHalf : oneAndHalf) as i16);
  const third = i16x8.splat(
    (zeroPoint == 0 ? twoAndHalf : zeroPoint == 3 ? -twoAndHalf : -half) as i16,
  );
  let product: f64 = 0;
  for (let from = weights; from < end; from += CHUNK_BYTES) {
    const to = min(end, from + CHUNK_BYTES);
    let sum = i32x4.splat(0);
    for (let at = from; at < to; at += 32) {
      const x = v128.load(at);
      const y = v128.load(at, 16);
      const nx = stepsOf(zeroPoint, x, first, second, third);
      const ny = stepsOf(zeroPoint, y, first, second, third);
      v128.store(at + toSteps, nx);
      v128.store(at + toSteps, ny, 16);
      sum = i32x4.add(sum, i32x4.add(i32x4.dot_i16x8_s(x, nx), i32x4.dot_i16x8_s(y, ny)));
    }
    product += total32(sum);
  }
  if (!(product > 0)) return false;
  const scale = roundScale((ratio / product) as f32);
  const stored = Math.floor((scale as f64) * unit + 0.5);
  if (!isSensible(stored, step, zeroPoint == 0 || zeroPoint == 3 ? 3 : 2)) return false;
  const s = i16x8.splat(stored as i32 as i16);
  let error = i64x2.splat(0);
  for (let at = weights; at < end; at += GROUP_BYTES) {
    error = widenTo64(error, lossOfGroup(at, at + toSteps, s));
  }
  const found = total64(error);
  if (!(found < bestError)) return false;
  bestError = found;
  bestCode = code;
  bestScale = scale;
  bestZeroPoint = zeroPoint;
  return true;
}

function try0(code: f32): bool {
  return tryCandidate(code, 0);
}
function try1(code: f32): bool {
  return tryCandidate(code, 1);
}
function try2(code: f32): bool {
  return tryCandidate(code, 2);
}
function try3(code: f32): bool {
  return tryCandidate(code, 3);
}

// @ts-ignore: decorator
@inline
function codeOf(k: i32): f32 {
  return ((own as f64) * load<f64>(powers + ((k as usize) << 3))) as f32;
}

/** @param middle The one zero point of 1 and 2 to try; 0: both. */
function tryScale(k: i32, middle: i32): bool {
  const code = codeOf(k);
  if (isSymmetric) return try2(code);
  let isBetter = middle != 2 && try1(code);
  if (middle != 1 && try2(code)) isBetter = true;
  if (lostNegative < bestError && try0(code)) isBetter = true;
  if (lostPositive < bestError && try3(code)) isBetter = true;
  return isBetter;
}

function searchScales(count: i32, start: f64): void {
  bestError = Infinity;
  const patience = count < LOYAL_COLUMNS ? SCALES : count < 128 ? 2 : 1;
  const least = start * (squares / (count as f64));
  let first = 0;
  while (first < SCALES - 1) {
    const step = (codeOf(first) as f64) * unit;
    if (step * step >= least) break;
    first++;
  }
  tryScale(first, 0);
  const isInner = bestError < Infinity && (bestZeroPoint == 1 || bestZeroPoint == 2);
  const middle = count >= LOYAL_COLUMNS && isInner ? bestZeroPoint : 0;
  let worse = 0;
  for (let k = first + 1; k < SCALES && worse < patience; k++) worse = tryScale(k, middle) ? 0 : worse + 1;
  worse = 0;
  for (let k = first - 1; k >= 0 && worse < patience; k--) worse = tryScale(k, middle) ? 0 : worse + 1;
}

/**
 * All blocks of a tile, each in one row; those without a largest weight stay as they are.
 *
 * @param scales How scales are rounded, see roundScale; with 4 added the zero point is 2.
 * @param table The scales tried as multiples, 14 F64, and behind them what a walk begins with.
 * @param scratch Room for two times two bytes a column of a block, in whole groups.
 */
// @ts-ignore: decorator
@inline
function searchTile(
  kind: i32,
  input: usize,
  rows: i32,
  columns: i32,
  blockColumns: i32,
  params: usize,
  scales: i32,
  table: usize,
  scratch: usize,
): void {
  const shift: usize = kind == 2 ? 2 : 1;
  const room = ((blockColumns as usize) * 2 + GROUP_BYTES - 1) & ~(GROUP_BYTES - 1);
  values = scratch;
  steps = scratch + room;
  powers = table;
  scaleKind = scales & 3;
  isSymmetric = scales > 3;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column += blockColumns) {
      const count = min(blockColumns, columns - column);
      const largest = load<f32>(params);
      own = load<f32>(params, 4);
      if (largest > 0) {
        const inverse = (UNITS / (largest as f64)) as f32;
        unit = inverse as f64;
        takeBlock(kind, input, count, inverse);
        searchScales(count, load<f64>(table, SCALES * 8));
      }
      if (largest > 0 && bestError < Infinity) {
        store<f32>(params, bestCode);
        store<f32>(params, bestScale, 4);
        store<i32>(params, bestZeroPoint, 8);
      } else {
        store<f32>(params, own);
      }
      params += 12;
      input += (count as usize) << shift;
    }
  }
}

export function search_bf16(input: usize, rows: i32, columns: i32, blockColumns: i32, params: usize, scales: i32, table: usize, scratch: usize): void {
  searchTile(0, input, rows, columns, blockColumns, params, scales, table, scratch);
}
export function search_f16(input: usize, rows: i32, columns: i32, blockColumns: i32, params: usize, scales: i32, table: usize, scratch: usize): void {
  searchTile(1, input, rows, columns, blockColumns, params, scales, table, scratch);
}
export function search_f32(input: usize, rows: i32, columns: i32, blockColumns: i32, params: usize, scales: i32, table: usize, scratch: usize): void {
  searchTile(2, input, rows, columns, blockColumns, params, scales, table, scratch);
}
