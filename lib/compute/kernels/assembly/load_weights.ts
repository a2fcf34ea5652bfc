// AssemblyScript: weights of each dtype as F32, as decodeFloats of lib/safetensors/dtype.ts has them.

/** Kinds of weights. */
export const BF16 = 0;
export const F16 = 1;
export const F32 = 2;

/** Adding and subtracting 1.5 * 2^23 rounds a F32 below 2^22 to an integer, half to even. */
export const ROUND: f32 = 12582912.0;

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
export function loadEven(kind: i32, at: usize): v128 {
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
export function loadOdd(kind: i32, at: usize): v128 {
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
export function load1(kind: i32, at: usize): f32 {
  if (kind != F16) {
    const word = kind == F32 ? load<u32>(at) : (load<u16>(at) as u32) << 16;
    return (word & 0x7f800000) == 0 ? 0 : reinterpret<f32>(word);
  }
  const bits = load<u16>(at) as u32;
  const value = reinterpret<f32>((bits & 0x7fff) << 13) * 5192296858534827628530496329220096.0;
  return reinterpret<f32>(reinterpret<u32>(value) | ((bits & 0x8000) << 16));
}
