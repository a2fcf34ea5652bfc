// AssemblyScript: `range` and `encode` of a tile with SIMD. The plain twins are ../range.ts and
// ../encode.ts; `deno task wasm` compiles this file and count_tile.ts to ../quantize_tile_wasm.ts.
//
// The host owns the memory and gives every pointer. Parameters of block b lie at b * 12: inverse F32,
// scale F32, zero point I32. Sums of block b lie at b * 24, three F64: x^2, s^2 with
// s = code - zero_point, and (x - s * scale)^2. The host sees to it that their squares are normal F32.

export { count_16, count_32 } from "./count_tile";

// Kinds of weights.
const BF16 = 0;
const F16 = 1;
const F32 = 2;

/** Adding and subtracting 1.5 * 2^23 rounds a F32 below 2^22 to an integer, half to even. */
const ROUND: f32 = 12582912.0;

/** 16-element steps between two moves of the F32 sums to F64: fewer than 2^24 of squared steps, exactly summed. */
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
      let high: i32 = 0;
      let low: u32 = 0;
      const first = lanes + ((block as usize) << 5);
      for (let at = first; at < first + 16; at += wide ? 4 : 2) {
        high = max(high, wide ? load<i32>(at) : (load<i16>(at) as i32));
        low = max(low, wide ? load<u32>(at, 16) : (load<u16>(at, 16) as u32));
      }
      store<i32>(out, high);
      store<u32>(out, low, 4);
      out += 8;
    }
  }
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

/** F32 weights, of which subnormal ones count as 0. Those of BF16 need no care: their squares are 0 in F32. */
// @ts-ignore: decorator
@inline
function flush(weights: v128): v128 {
  const exponent = i32x4.splat(0x7f800000);
  return v128.and(weights, i32x4.ne(v128.and(weights, exponent), i32x4.splat(0)));
}

/** The first, third, fifth and seventh of eight weights as F32: the low halves of four words. */
// @ts-ignore: decorator
@inline
function loadEven(kind: i32, at: usize): v128 {
  if (kind == F32) {
    return flush(i8x16.shuffle(v128.load(at), v128.load(at, 16), 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27));
  }
  const words = v128.load(at);
  if (kind == BF16) return i32x4.shl(words, 16);
  return widenHalf(i32x4.shr_s(i32x4.shl(words, 16), 16));
}

/** The second, fourth, sixth and eighth of eight weights as F32: the high halves of four words. */
// @ts-ignore: decorator
@inline
function loadOdd(kind: i32, at: usize): v128 {
  if (kind == F32) {
    return flush(i8x16.shuffle(v128.load(at), v128.load(at, 16), 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
  }
  const words = v128.load(at);
  if (kind == BF16) return v128.and(words, i32x4.splat(<i32>0xffff0000));
  return widenHalf(i32x4.shr_s(words, 16));
}

/** F16 bits, sign-extended, as F32. */
// @ts-ignore: decorator
@inline
function widenHalf(wide: v128): v128 {
  // Exponent and mantissa moved into place are the value * 2^-112, subnormal ones included.
  const magnitude = i32x4.shl(v128.and(wide, i32x4.splat(0x7fff)), 13);
  const value = f32x4.mul(magnitude, f32x4.splat(5192296858534827628530496329220096.0));
  return v128.or(value, v128.and(wide, i32x4.splat(<i32>0x80000000)));
}

// @ts-ignore: decorator
@inline
function load1(kind: i32, at: usize): f32 {
  if (kind != F16) {
    const word = kind == F32 ? load<u32>(at) : (load<u16>(at) as u32) << 16;
    return (word & 0x7f800000) == 0 ? 0 : reinterpret<f32>(word);
  }
  const bits = load<u16>(at) as u32;
  const value = reinterpret<f32>((bits & 0x7fff) << 13) * 5192296858534827628530496329220096.0;
  return reinterpret<f32>(reinterpret<u32>(value) | ((bits & 0x8000) << 16));
}

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

/** One run of weights of one block: codes to `out`, sums added at `sums` if they are wanted. */
// @ts-ignore: decorator
@inline
function encodeRun(kind: i32, bits: i32, summed: bool, input: usize, count: i32, out: usize, params: usize, sums: usize): void {
  const shift: usize = kind == F32 ? 2 : 1;
  const inverse1 = load<f32>(params);
  const scale1 = load<f32>(params, 4);
  const zeroPoint = load<i32>(params, 8);
  const least1 = -(zeroPoint as f32);
  const most1 = (((1 << bits) - 1 - zeroPoint) as f32);
  const inverse = f32x4.splat(inverse1);
  const scale = f32x4.splat(scale1);
  const wideScale = f64x2.splat(scale1 as f64);
  const least = f32x4.splat(least1);
  const most = f32x4.splat(most1);
  const round = f32x4.splat(ROUND);
  // Both neighbours' bits hold ROUND's and lack the zero point; taken off the packed pair at once.
  const offset1 = reinterpret<i32>(ROUND) - zeroPoint;
  const offset = i32x4.splat(offset1 + (offset1 << bits));
  let signal: f64 = 0;
  let decoded: f64 = 0;
  let error: f64 = 0;
  let wide = f64x2.splat(0);
  let left = count >> 4;
  while (left > 0) {
    let signals = f32x4.splat(0);
    let decodeds = f32x4.splat(0);
    let errors = f32x4.splat(0);
    const steps = min(left, STEPS_PER_FLUSH);
    left -= steps;
    for (let step = 0; step < steps; step++) {
      let first = i32x4.splat(0);
      for (let half = 0; half < 2; half++) {
        const a = loadEven(kind, input);
        const b = loadOdd(kind, input);
        const ra = f32x4.add(f32x4.pmin(f32x4.pmax(f32x4.mul(a, inverse), least), most), round);
        const rb = f32x4.add(f32x4.pmin(f32x4.pmax(f32x4.mul(b, inverse), least), most), round);
        const pair = i32x4.sub(i32x4.add(ra, i32x4.shl(rb, bits)), offset);
        if (half == 0) first = pair;
        else store16(bits, out, first, pair);
        input += 8 << shift;
        if (!summed) continue;
        const sa = f32x4.sub(ra, round);
        const sb = f32x4.sub(rb, round);
        signals = f32x4.add(signals, f32x4.add(f32x4.mul(a, a), f32x4.mul(b, b)));
        decodeds = f32x4.add(decodeds, f32x4.add(f32x4.mul(sa, sa), f32x4.mul(sb, sb)));
        if (kind == F32) {
          wide = f64x2.add(wide, f64x2.add(wideError(a, sa, wideScale), wideError(b, sb, wideScale)));
        } else {
          const ea = f32x4.sub(a, f32x4.mul(sa, scale));
          const eb = f32x4.sub(b, f32x4.mul(sb, scale));
          errors = f32x4.add(errors, f32x4.add(f32x4.mul(ea, ea), f32x4.mul(eb, eb)));
        }
      }
      out += bits << 1;
    }
    signal += total(signals);
    decoded += total(decodeds);
    error += total(errors);
  }
  error += f64x2.extract_lane(wide, 0) + f64x2.extract_lane(wide, 1);
  // The rest, one by one, up to a whole number of 32-bit words.
  let word: u32 = 0;
  let filled = 0;
  for (let i = 0; i < (count & 15); i++) {
    const x = load1(kind, input);
    const rounded = min(max(x * inverse1, least1), most1) + ROUND;
    const s = rounded - ROUND;
    word |= ((reinterpret<i32>(rounded) - offset1) as u32) << filled;
    filled += bits;
    if (filled == 32) {
      store<u32>(out, word);
      out += 4;
      word = 0;
      filled = 0;
    }
    const e = (x as f64) - (s as f64) * (scale1 as f64);
    signal += (x as f64) * (x as f64);
    decoded += (s as f64) * (s as f64);
    error += e * e;
    input += 1 << shift;
  }
  if (filled > 0) store<u32>(out, word);
  if (!summed) return;
  store<f64>(sums, load<f64>(sums) + signal);
  store<f64>(sums, load<f64>(sums, 8) + decoded, 8);
  store<f64>(sums, load<f64>(sums, 16) + error, 16);
}

/** All runs of a tile. Sums are added to what is there; none are made where `sums` is 0. */
// @ts-ignore: decorator
@inline
function encodeTile(
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
  const rowBits = columns * bits;
  const rowBytes = ((rowBits + 31) >> 5) << 2;
  const across = (columns + blockColumns - 1) / blockColumns;
  const whole = blockColumns >= columns && (rowBits & 31) == 0;
  const shift: usize = kind == F32 ? 2 : 1;
  let block = 0;
  for (let row = 0; row < rows;) {
    // Whole rows without padding lie one behind the other on both sides, and so are one run.
    const height = whole ? min(blockRows - row % blockRows, rows - row) : 1;
    block = (row / blockRows) * across;
    for (let column = 0; column < columns; column += blockColumns) {
      const from = input + (((row as usize) * columns + column) << shift);
      const count = min(blockColumns, columns - column) * height;
      const to = out + (row as usize) * rowBytes + ((column * bits) >> 3);
      const own = params + (block as usize) * 12;
      if (sums == 0) encodeRun(kind, bits, false, from, count, to, own, sums);
      else encodeRun(kind, bits, true, from, count, to, own, sums + (block as usize) * 24);
      block++;
    }
    row += height;
  }
}

export function encode_bf16_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(BF16, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_bf16_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(BF16, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_bf16_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(BF16, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F16, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F16, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f16_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F16, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_2(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F32, 2, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_4(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F32, 4, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
export function encode_f32_8(input: usize, rows: i32, columns: i32, blockRows: i32, blockColumns: i32, params: usize, out: usize, sums: usize): void {
  encodeTile(F32, 8, input, rows, columns, blockRows, blockColumns, params, out, sums);
}
