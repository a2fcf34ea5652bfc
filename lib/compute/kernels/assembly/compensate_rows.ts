// AssemblyScript: error compensation of sixteen rows at a time, one in each lane of four vectors. The plain
// twin is ../compensate.ts, which says what is computed and why; every F32 operation on a row is the same and
// in the same order, so that the codes are.
//
// Column p is the p-th in the order of processing. The host owns the memory and gives every pointer.

import { load1 } from "./load_weights";

/** Rows at a time. */
const ROWS: usize = 16;

/** Bytes of a F32 of each row. */
const VECTOR: usize = 64;

/** Columns between two moves of the F32 sums to F64. */
const FLUSH = 16;

/**
 * Gathers weights of rows as F32: [columns][16].
 *
 * @param kind See load_weights.
 * @param rows 1 to 16; missing ones become 0.
 * @param order [columns] I32: the column that is the p-th.
 */
export function gather(
  kind: i32,
  input: usize,
  rows: i32,
  columns: i32,
  order: usize,
  out: usize,
): void {
  const shift: usize = kind == 2 ? 2 : 1;
  const stride = (columns as usize) << shift;
  memory.fill(out, 0, (columns as usize) * VECTOR);
  for (let p = 0; p < columns; p++) {
    let at = input + ((load<i32>(order + ((p as usize) << 2)) as usize) << shift);
    for (let row = 0; row < rows; row++) {
      store<f32>(out + ((row as usize) << 2), load1(kind, at));
      at += stride;
    }
    out += VECTOR;
  }
}

// @ts-ignore: decorator
@inline
function quantize(t: v128, params: usize, low: v128, high: v128): v128 {
  const steps = f32x4.mul(t, v128.load(params));
  return f32x4.nearest(f32x4.max(low, f32x4.min(high, steps)));
}

/** Adds four F32 sums to F64 ones. */
// @ts-ignore: decorator
@inline
function addWide(sums: usize, lanes: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(lanes)));
  const high = i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}

// @ts-ignore: decorator
@inline
function addSquares(at: usize, factor: v128, x: v128): void {
  v128.store(at, f32x4.add(v128.load(at), f32x4.mul(f32x4.mul(x, x), factor)));
}

// @ts-ignore: decorator
@inline
function addSum(at: usize, x: v128): void {
  v128.store(at, f32x4.add(v128.load(at), f32x4.mul(x, x)));
}

/** Moves the F32 sums [5][16] at `from` to the F64 ones behind them. */
function flushSums(from: usize): void {
  const wide = from + 5 * VECTOR;
  for (let i: usize = 0; i < 20; i++) {
    addWide(wide + (i << 5), v128.load(from + (i << 4)));
    v128.store(from + (i << 4), f32x4.splat(0));
  }
}

/**
 * Quantizes sixteen rows.
 *
 * @param weights [columns][16] F32.
 * @param blockOf [columns] I32: the block of the p-th column.
 * @param params [blocks][4][16] F32: inverse of the scale that makes the codes, stored scale, lowest and highest
 *   step, -zero_point and qmax - zero_point.
 * @param sketch [columns][rank] F32.
 * @param gains [columns][rank] F32.
 * @param diagonal [columns] F32.
 * @param state Room for [rank][2][16] F32: what the errors and the weights come to, all 0.
 * @param sums [5][16] F32, all 0, and behind them [5][16] F64: of squares of weights, values, errors, and of
 *   weights and errors weighted by the diagonal.
 * @param codes [columns][16] U8.
 */
export function compensate(
  weights: usize,
  columns: i32,
  rank: i32,
  blockOf: usize,
  params: usize,
  sketch: usize,
  gains: usize,
  diagonal: usize,
  state: usize,
  sums: usize,
  codes: usize,
): void {
  let dot0 = f32x4.splat(0);
  let dot1 = f32x4.splat(0);
  let dot2 = f32x4.splat(0);
  let dot3 = f32x4.splat(0);
  const stride = (rank as usize) << 2;
  const end = state + (rank as usize) * (2 * VECTOR);
  for (let p = 0; p < columns; p++) {
    const own = params + (load<i32>(blockOf) as usize) * (4 * VECTOR);
    blockOf += 4;
    const w0 = v128.load(weights);
    const w1 = v128.load(weights, 16);
    const w2 = v128.load(weights, 32);
    const w3 = v128.load(weights, 48);
    weights += VECTOR;
    const low0 = v128.load(own, 128);
    const low1 = v128.load(own, 144);
    const low2 = v128.load(own, 160);
    const low3 = v128.load(own, 176);
    const n0 = quantize(f32x4.sub(w0, dot0), own, low0, v128.load(own, 192));
    const n1 = quantize(f32x4.sub(w1, dot1), own + 16, low1, v128.load(own, 208));
    const n2 = quantize(f32x4.sub(w2, dot2), own + 32, low2, v128.load(own, 224));
    const n3 = quantize(f32x4.sub(w3, dot3), own + 48, low3, v128.load(own, 240));
    v128.store(
      codes,
      i8x16.narrow_i16x8_u(
        i16x8.narrow_i32x4_s(
          i32x4.trunc_sat_f32x4_s(f32x4.sub(n0, low0)),
          i32x4.trunc_sat_f32x4_s(f32x4.sub(n1, low1)),
        ),
        i16x8.narrow_i32x4_s(
          i32x4.trunc_sat_f32x4_s(f32x4.sub(n2, low2)),
          i32x4.trunc_sat_f32x4_s(f32x4.sub(n3, low3)),
        ),
      ),
    );
    codes += ROWS;
    const v0 = f32x4.mul(n0, v128.load(own, 64));
    const v1 = f32x4.mul(n1, v128.load(own, 80));
    const v2 = f32x4.mul(n2, v128.load(own, 96));
    const v3 = f32x4.mul(n3, v128.load(own, 112));
    const d0 = f32x4.sub(v0, w0);
    const d1 = f32x4.sub(v1, w1);
    const d2 = f32x4.sub(v2, w2);
    const d3 = f32x4.sub(v3, w3);
    const own2 = f32x4.splat(load<f32>(diagonal));
    diagonal += 4;
    addSum(sums, w0);
    addSum(sums + 16, w1);
    addSum(sums + 32, w2);
    addSum(sums + 48, w3);
    addSum(sums + 64, v0);
    addSum(sums + 80, v1);
    addSum(sums + 96, v2);
    addSum(sums + 112, v3);
    addSum(sums + 128, d0);
    addSum(sums + 144, d1);
    addSum(sums + 160, d2);
    addSum(sums + 176, d3);
    addSquares(sums + 192, own2, w0);
    addSquares(sums + 208, own2, w1);
    addSquares(sums + 224, own2, w2);
    addSquares(sums + 240, own2, w3);
    addSquares(sums + 256, own2, d0);
    addSquares(sums + 272, own2, d1);
    addSquares(sums + 288, own2, d2);
    addSquares(sums + 304, own2, d3);
    if ((p & (FLUSH - 1)) == FLUSH - 1) flushSums(sums);
    // The gains of the column that comes next; behind the last one its own, which nobody asks for.
    const next = p + 1 < columns ? gains + stride : gains;
    let odd0 = f32x4.splat(0);
    let odd1 = f32x4.splat(0);
    let odd2 = f32x4.splat(0);
    let odd3 = f32x4.splat(0);
    dot0 = f32x4.splat(0);
    dot1 = f32x4.splat(0);
    dot2 = f32x4.splat(0);
    dot3 = f32x4.splat(0);
    let at = state;
    let k: usize = 0;
    while (at < end) {
      let x = f32x4.splat(load<f32>(sketch + k));
      let g = f32x4.splat(load<f32>(next + k));
      let e0 = f32x4.add(v128.load(at), f32x4.mul(x, d0));
      let e1 = f32x4.add(v128.load(at, 16), f32x4.mul(x, d1));
      let e2 = f32x4.add(v128.load(at, 32), f32x4.mul(x, d2));
      let e3 = f32x4.add(v128.load(at, 48), f32x4.mul(x, d3));
      v128.store(at, e0);
      v128.store(at, e1, 16);
      v128.store(at, e2, 32);
      v128.store(at, e3, 48);
      v128.store(at, f32x4.add(v128.load(at, 64), f32x4.mul(x, w0)), 64);
      v128.store(at, f32x4.add(v128.load(at, 80), f32x4.mul(x, w1)), 80);
      v128.store(at, f32x4.add(v128.load(at, 96), f32x4.mul(x, w2)), 96);
      v128.store(at, f32x4.add(v128.load(at, 112), f32x4.mul(x, w3)), 112);
      dot0 = f32x4.add(dot0, f32x4.mul(g, e0));
      dot1 = f32x4.add(dot1, f32x4.mul(g, e1));
      dot2 = f32x4.add(dot2, f32x4.mul(g, e2));
      dot3 = f32x4.add(dot3, f32x4.mul(g, e3));
      at += 2 * VECTOR;
      k += 4;
      if (at >= end) break;
      x = f32x4.splat(load<f32>(sketch + k));
      g = f32x4.splat(load<f32>(next + k));
      e0 = f32x4.add(v128.load(at), f32x4.mul(x, d0));
      e1 = f32x4.add(v128.load(at, 16), f32x4.mul(x, d1));
      e2 = f32x4.add(v128.load(at, 32), f32x4.mul(x, d2));
      e3 = f32x4.add(v128.load(at, 48), f32x4.mul(x, d3));
      v128.store(at, e0);
      v128.store(at, e1, 16);
      v128.store(at, e2, 32);
      v128.store(at, e3, 48);
      v128.store(at, f32x4.add(v128.load(at, 64), f32x4.mul(x, w0)), 64);
      v128.store(at, f32x4.add(v128.load(at, 80), f32x4.mul(x, w1)), 80);
      v128.store(at, f32x4.add(v128.load(at, 96), f32x4.mul(x, w2)), 96);
      v128.store(at, f32x4.add(v128.load(at, 112), f32x4.mul(x, w3)), 112);
      odd0 = f32x4.add(odd0, f32x4.mul(g, e0));
      odd1 = f32x4.add(odd1, f32x4.mul(g, e1));
      odd2 = f32x4.add(odd2, f32x4.mul(g, e2));
      odd3 = f32x4.add(odd3, f32x4.mul(g, e3));
      at += 2 * VECTOR;
      k += 4;
    }
    dot0 = f32x4.add(dot0, odd0);
    dot1 = f32x4.add(dot1, odd1);
    dot2 = f32x4.add(dot2, odd2);
    dot3 = f32x4.add(dot3, odd3);
    sketch += stride;
    gains = next;
  }
  flushSums(sums);
}

/** Steps of four rows: their codes less their zero points. */
// @ts-ignore: decorator
@inline
function stepsAt(codes: usize, low: v128): v128 {
  const wide = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(codes)));
  return f32x4.add(f32x4.convert_i32x4_s(wide), low);
}

/**
 * What the codes of sixteen rows come to by other second moments than those they were made with; parameters and
 * sums as in `compensate`, of which only the last two are made.
 */
export function measure(
  weights: usize,
  codes: usize,
  columns: i32,
  rank: i32,
  blockOf: usize,
  params: usize,
  sketch: usize,
  diagonal: usize,
  state: usize,
  sums: usize,
): void {
  const end = state + (rank as usize) * (2 * VECTOR);
  for (let p = 0; p < columns; p++) {
    const own = params + (load<i32>(blockOf) as usize) * (4 * VECTOR);
    blockOf += 4;
    const w0 = v128.load(weights);
    const w1 = v128.load(weights, 16);
    const w2 = v128.load(weights, 32);
    const w3 = v128.load(weights, 48);
    weights += VECTOR;
    const d0 = f32x4.sub(f32x4.mul(stepsAt(codes, v128.load(own, 128)), v128.load(own, 64)), w0);
    const d1 = f32x4.sub(f32x4.mul(stepsAt(codes + 4, v128.load(own, 144)), v128.load(own, 80)), w1);
    const d2 = f32x4.sub(f32x4.mul(stepsAt(codes + 8, v128.load(own, 160)), v128.load(own, 96)), w2);
    const d3 = f32x4.sub(f32x4.mul(stepsAt(codes + 12, v128.load(own, 176)), v128.load(own, 112)), w3);
    codes += ROWS;
    const own2 = f32x4.splat(load<f32>(diagonal));
    diagonal += 4;
    addSquares(sums + 192, own2, w0);
    addSquares(sums + 208, own2, w1);
    addSquares(sums + 224, own2, w2);
    addSquares(sums + 240, own2, w3);
    addSquares(sums + 256, own2, d0);
    addSquares(sums + 272, own2, d1);
    addSquares(sums + 288, own2, d2);
    addSquares(sums + 304, own2, d3);
    if ((p & (FLUSH - 1)) == FLUSH - 1) flushSums(sums);
    for (let at = state; at < end; at += 2 * VECTOR) {
      const x = f32x4.splat(load<f32>(sketch));
      sketch += 4;
      v128.store(at, f32x4.add(v128.load(at), f32x4.mul(x, d0)));
      v128.store(at, f32x4.add(v128.load(at, 16), f32x4.mul(x, d1)), 16);
      v128.store(at, f32x4.add(v128.load(at, 32), f32x4.mul(x, d2)), 32);
      v128.store(at, f32x4.add(v128.load(at, 48), f32x4.mul(x, d3)), 48);
      v128.store(at, f32x4.add(v128.load(at, 64), f32x4.mul(x, w0)), 64);
      v128.store(at, f32x4.add(v128.load(at, 80), f32x4.mul(x, w1)), 80);
      v128.store(at, f32x4.add(v128.load(at, 96), f32x4.mul(x, w2)), 96);
      v128.store(at, f32x4.add(v128.load(at, 112), f32x4.mul(x, w3)), 112);
    }
  }
  flushSums(sums);
}

/**
 * Packs codes: element i of a row at bit i * bits, each row in whole words.
 *
 * @param codes [columns][16] U8, in the order of processing.
 * @param rows 1 to 16.
 * @param rowBytes Bytes of a packed row.
 * @param out [rows][rowBytes], all 0.
 */
export function pack(
  codes: usize,
  rows: i32,
  columns: i32,
  order: usize,
  bits: i32,
  rowBytes: usize,
  out: usize,
): void {
  for (let p = 0; p < columns; p++) {
    const bit = load<i32>(order + ((p as usize) << 2)) * bits;
    const shift = bit & 7;
    let at = out + ((bit >> 3) as usize);
    for (let row = 0; row < rows; row++) {
      store<u8>(at, (load<u8>(at) as i32) | ((load<u8>(codes + (row as usize)) as i32) << shift));
      at += rowBytes;
    }
    codes += ROWS;
  }
}
