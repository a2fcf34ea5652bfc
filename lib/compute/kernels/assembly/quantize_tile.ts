// AssemblyScript: `range` and `encode` of a tile with SIMD. The plain twins are ../range.ts and
// ../encode.ts; `deno task wasm` compiles this file and those it imports to ../quantize_tile_wasm.ts.
//
// The host owns the memory and gives every pointer. Parameters of block b lie at b * 12: inverse of the
// scale that makes the codes F32, stored scale F32, zero point I32. The host sees to it that the squares
// of what they decode to are normal F32.

import { BF16, F16, F32, load1, loadEven, loadOdd, ROUND } from "./load_weights";

export { count_16, count_32 } from "./count_tile";
export { search_bf16, search_f16, search_f32 } from "./search_tile";

/** 16-element steps between two moves of the F32 sums to F64: few enough that rounding does not pile up. */
const STEPS_PER_FLUSH = 16;

// ---------------------------------------------------------------------------------------------------------------------
// range
//
// The bits of two floats of equal sign order like integers. So the largest bits as signed integers
// are the largest positive value's, and the largest as unsigned ones the lowest negative value's.

/**
 * Writes for each block the largest bits, as signed and as unsigned integers: two I32 at b * 8.
 * `lanes` has room for 32 bytes for each block side by side.
 */
// @ts-ignore: decorator
@inline
function rangeTile(
  wide: bool,
  input: usize,
  rows: i32,
  columns: i32,
  blockRows: i32,
  blockColumns: i32,
  lanes: usize,
  out: usize,
): void {
  const across = (columns + blockColumns - 1) / blockColumns;
  for (let row = 0; row < rows; row += blockRows) {
    const height = min(blockRows, rows - row);
    memory.fill(lanes, 0, (across as usize) << 5);
    // Whole rows lie one behind the other, and so are one run.
    const runs = across == 1 ? 1 : height;
    const length = across == 1 ? columns * height : columns;
    const limit = across == 1 ? length : blockColumns;
    for (let run = 0; run < runs; run++) {
      let lane = lanes;
      for (let start = 0; start < length; start += limit) {
        rangeRun(wide, input, min(limit, length - start), lane);
        input += (min(limit, length - start) as usize) << (wide ? 2 : 1);
        lane += 32;
      }
    }
    for (let block = 0; block < across; block++) {
      const first = lanes + ((block as usize) << 5);
      store<i32>(out, largestSigned(wide, v128.load(first)));
      store<u32>(out, largestUnsigned(wide, v128.load(first, 16)), 4);
      out += 8;
    }
  }
}

/** The largest of eight I16 or four I32, as signed integers. */
// @ts-ignore: decorator
@inline
function largestSigned(wide: bool, lanes: v128): i32 {
  let a = wide
    ? i32x4.max_s(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))
    : i16x8.max_s(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  if (wide) return max(i32x4.extract_lane(a, 0), i32x4.extract_lane(a, 1));
  a = i16x8.max_s(a, i8x16.shuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
  return max(i16x8.extract_lane_s(a, 0) as i32, i16x8.extract_lane_s(a, 1) as i32);
}

/** The largest of eight I16 or four I32, as unsigned integers. */
// @ts-ignore: decorator
@inline
function largestUnsigned(wide: bool, lanes: v128): u32 {
  let a = wide
    ? i32x4.max_u(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))
    : i16x8.max_u(lanes, i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  if (wide) return max(i32x4.extract_lane(a, 0) as u32, i32x4.extract_lane(a, 1) as u32);
  a = i16x8.max_u(a, i8x16.shuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
  return max(i16x8.extract_lane_u(a, 0) as u32, i16x8.extract_lane_u(a, 1) as u32);
}

/** Takes one run of weights into the lanes of its block: 16 bytes signed, 16 bytes unsigned. */
// @ts-ignore: decorator
@inline
function rangeRun(wide: bool, input: usize, count: i32, lane: usize): void {
  const bytes = (count as usize) << (wide ? 2 : 1);
  const fast = bytes & ~15;
  let signed = v128.load(lane);
  let unsigned = v128.load(lane, 16);
  for (let at = input; at < input + fast; at += 16) {
    const bits = v128.load(at);
    signed = wide ? i32x4.max_s(signed, bits) : i16x8.max_s(signed, bits);
    unsigned = wide ? i32x4.max_u(unsigned, bits) : i16x8.max_u(unsigned, bits);
  }
  v128.store(lane, signed);
  v128.store(lane, unsigned, 16);
  for (let at = input + fast; at < input + bytes; at += wide ? 4 : 2) {
    if (wide) {
      store<i32>(lane, max(load<i32>(lane), load<i32>(at)));
      store<u32>(lane, max(load<u32>(lane, 16), load<u32>(at)), 16);
    } else {
      store<i16>(lane, max(load<i16>(lane), load<i16>(at)));
      store<u16>(lane, max(load<u16>(lane, 16), load<u16>(at)), 16);
    }
  }
}

export function range_16(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, lanes: usize, out: usize): void {
  rangeTile(false, input, rows, columns, blockRows, blockColumns, lanes, out);
}
export function range_32(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, lanes: usize, out: usize): void {
  rangeTile(true, input, rows, columns, blockRows, blockColumns, lanes, out);
}

// ---------------------------------------------------------------------------------------------------------------------
// encode

/** The sum of the four lanes in double precision. */
// @ts-ignore: decorator
@inline
function total(lanes: v128): f64 {
  const low = f64x2.promote_low_f32x4(lanes);
  const high = f64x2.promote_low_f32x4(i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** The squared error of four F32 weights in double precision, as two pairs added up. */
// @ts-ignore: decorator
@inline
function wideError(x: v128, s: v128, scale: v128): v128 {
  const low = f64x2.sub(f64x2.promote_low_f32x4(x), f64x2.mul(f64x2.promote_low_f32x4(s), scale));
  const x2 = i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  const s2 = i8x16.shuffle(s, s, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  const high = f64x2.sub(f64x2.promote_low_f32x4(x2), f64x2.mul(f64x2.promote_low_f32x4(s2), scale));
  return f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high));
}

/** Stores 16 codes: each lane holds two neighbours, already packed. */
// @ts-ignore: decorator
@inline
function store16(bits: i32, out: usize, first: v128, second: v128): void {
  const pairs = i16x8.narrow_i32x4_u(first, second);
  if (bits == 8) {
    v128.store(out, pairs);
    return;
  }
  if (bits == 4) {
    v128.store64_lane(out, i8x16.narrow_i16x8_u(pairs, pairs), 0);
    return;
  }
  const fours = v128.or(pairs, i32x4.shr_u(pairs, 12));
  v128.store32_lane(out, i8x16.shuffle(fours, fours, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), 0);
}

/**
 * All runs of a tile: codes to `out`; what they lose is added to the three F64 at `sums`, if it is wanted:
 * x^2, v^2 and (x - v)^2. The sums of four lanes go on from block to block, since short blocks would
 * spend their time on adding lanes up.
 */
// @ts-ignore: decorator
@inline
function encodeTile(
  kind: i32,
  bits: i32,
  summed: bool,
  input: usize,
  rows: i32,
  columns: i32,
  blockRows: i32,
  blockColumns: i32,
  params: usize,
  out: usize,
  sums: usize,
): void {
  const rowBits = columns * bits;
  const rowBytes = ((rowBits + 31) >> 5) << 2;
  const across = (columns + blockColumns - 1) / blockColumns;
  const whole = blockColumns >= columns && (rowBits & 31) == 0;
  const shift: usize = kind == F32 ? 2 : 1;
  const round = f32x4.splat(ROUND);
  let signals = f32x4.splat(0);
  let decodeds = f32x4.splat(0);
  let errors = f32x4.splat(0);
  let wide = f64x2.splat(0);
  let room = STEPS_PER_FLUSH;
  let signal: f64 = 0;
  let decoded: f64 = 0;
  let error: f64 = 0;
  for (let row = 0; row < rows;) {
    // Whole rows without padding lie one behind the other on both sides, and so are one run.
    const height = whole ? min(blockRows - row % blockRows, rows - row) : 1;
    let own = params + ((row / blockRows) * across as usize) * 12;
    for (let column = 0; column < columns; column += blockColumns) {
      let from = input + (((row as usize) * columns + column) << shift);
      let to = out + (row as usize) * rowBytes + ((column * bits) >> 3);
      const count = min(blockColumns, columns - column) * height;
      const inverse1 = load<f32>(own);
      const scale1 = load<f32>(own, 4);
      const zeroPoint = load<i32>(own, 8);
      own += 12;
      const least1 = -(zeroPoint as f32);
      const most1 = (((1 << bits) - 1 - zeroPoint) as f32);
      const inverse = f32x4.splat(inverse1);
      const scale = f32x4.splat(scale1);
      const wideScale = f64x2.splat(scale1 as f64);
      const least = f32x4.splat(least1);
      const most = f32x4.splat(most1);
      // Both neighbours' bits hold ROUND's and lack the zero point; taken off the packed pair at once.
      const offset1 = reinterpret<i32>(ROUND) - zeroPoint;
      const offset = i32x4.splat(offset1 + (offset1 << bits));
      let left = count >> 4;
      while (left > 0) {
        const steps = min(left, room);
        left -= steps;
        room -= steps;
        for (let step = 0; step < steps; step++) {
          let first = i32x4.splat(0);
          for (let half = 0; half < 2; half++) {
            const a = loadEven(kind, from);
            const b = loadOdd(kind, from);
            const ra = f32x4.add(f32x4.pmin(f32x4.pmax(f32x4.mul(a, inverse), least), most), round);
            const rb = f32x4.add(f32x4.pmin(f32x4.pmax(f32x4.mul(b, inverse), least), most), round);
            const pair = i32x4.sub(i32x4.add(ra, i32x4.shl(rb, bits)), offset);
            if (half == 0) first = pair;
            else store16(bits, to, first, pair);
            from += 8 << shift;
            if (!summed) continue;
            const sa = f32x4.sub(ra, round);
            const sb = f32x4.sub(rb, round);
            const va = f32x4.mul(sa, scale);
            const vb = f32x4.mul(sb, scale);
            signals = f32x4.add(signals, f32x4.add(f32x4.mul(a, a), f32x4.mul(b, b)));
            decodeds = f32x4.add(decodeds, f32x4.add(f32x4.mul(va, va), f32x4.mul(vb, vb)));
            if (kind == F32) {
              wide = f64x2.add(wide, f64x2.add(wideError(a, sa, wideScale), wideError(b, sb, wideScale)));
            } else {
              const ea = f32x4.sub(a, va);
              const eb = f32x4.sub(b, vb);
              errors = f32x4.add(errors, f32x4.add(f32x4.mul(ea, ea), f32x4.mul(eb, eb)));
            }
          }
          to += bits << 1;
        }
        if (summed && room == 0) {
          signal += total(signals);
          decoded += total(decodeds);
          error += total(errors);
          signals = f32x4.splat(0);
          decodeds = f32x4.splat(0);
          errors = f32x4.splat(0);
        }
        if (room == 0) room = STEPS_PER_FLUSH;
      }
      // The rest, one by one, up to a whole number of 32-bit words.
      let word: u32 = 0;
      let filled = 0;
      for (let i = 0; i < (count & 15); i++) {
        const x = load1(kind, from);
        const rounded = min(max(x * inverse1, least1), most1) + ROUND;
        word |= ((reinterpret<i32>(rounded) - offset1) as u32) << filled;
        filled += bits;
        if (filled == 32) {
          store<u32>(to, word);
          to += 4;
          word = 0;
          filled = 0;
        }
        const v = ((rounded - ROUND) as f64) * (scale1 as f64);
        const e = (x as f64) - v;
        signal += (x as f64) * (x as f64);
        decoded += v * v;
        error += e * e;
        from += 1 << shift;
      }
      if (filled > 0) store<u32>(to, word);
    }
    row += height;
  }
  if (!summed) return;
  error += f64x2.extract_lane(wide, 0) + f64x2.extract_lane(wide, 1);
  store<f64>(sums, signal + total(signals));
  store<f64>(sums, decoded + total(decodeds), 8);
  store<f64>(sums, error + total(errors), 16);
}

/** @param sums Three F64, or 0 where they are not wanted. */
// @ts-ignore: decorator
@inline
function encodeKind(
  kind: i32,
  bits: i32,
  input: usize,
  rows: i32,
  columns: i32,
  blockRows: i32,
  blockColumns: i32,
  params: usize,
  out: usize,
  sums: usize,
): void {
  if (sums == 0) encodeTile(kind, bits, false, input, rows, columns, blockRows, blockColumns, params, out, sums);
  else encodeTile(kind, bits, true, input, rows, columns, blockRows, blockColumns, params, out, sums);
}

export function encode_bf16_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(BF16, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_bf16_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(BF16, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_bf16_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(BF16, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F16, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F16, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F16, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F32, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F32, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeKind(F32, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
