// AssemblyScript: functions of single elements with SIMD. Every operation rounds to F32, in the order of
// `../activate_plain.ts`, which gives the same bits on any machine.

// @ts-ignore: a decorator of AssemblyScript
@inline
function splat(value: f32): v128 {
  return f32x4.splat(value);
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function multiplyAdd(x: v128, y: v128, z: v128): v128 {
  return f32x4.add(f32x4.mul(x, y), z);
}

/** e^x within 2e-7, relatively (Moshier, Cephes); beyond -87 and 88 that of -87 and 88. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function exponential(x: v128): v128 {
  // pmin and pmax are one instruction each, and keep NaN when it is their first operand.
  const inside = f32x4.pmin(f32x4.pmax(x, splat(-87)), splat(88));
  // Adding 1.5 * 2^23 rounds to whole numbers, ties to even, which are then its lowest bits.
  const shift = splat(12582912);
  const shifted = multiplyAdd(inside, splat(1.44269504), shift);
  const whole = f32x4.sub(shifted, shift);
  // ln 2 in two parts, the first of which times a whole number is exact.
  let rest = f32x4.sub(inside, f32x4.mul(whole, splat(0.693359375)));
  rest = f32x4.sub(rest, f32x4.mul(whole, splat(-2.12194440e-4)));
  let series = multiplyAdd(splat(1.9875691500e-4), rest, splat(1.3981999507e-3));
  series = multiplyAdd(series, rest, splat(8.3334519073e-3));
  series = multiplyAdd(series, rest, splat(4.1665795894e-2));
  series = multiplyAdd(series, rest, splat(1.6666665459e-1));
  series = multiplyAdd(series, rest, splat(5.0000001201e-1));
  series = f32x4.add(multiplyAdd(series, f32x4.mul(rest, rest), rest), splat(1));
  const power = i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23);
  return f32x4.mul(series, power);
}

/** Softmax of each row, in place. The stride is bytes; `columns` is a multiple of 4. */
export function softmax(x: usize, stride: usize, rows: i32, columns: i32): void {
  for (let row: i32 = 0; row < rows; row++) {
    const end = x + (columns << 2);
    let most = v128.load(x);
    for (let at = x; at < end; at += 16) most = f32x4.pmax(most, v128.load(at));
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
    most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
    let sums = splat(0);
    for (let at = x; at < end; at += 16) {
      const power = exponential(f32x4.sub(v128.load(at), most));
      v128.store(at, power);
      sums = f32x4.add(sums, power);
    }
    sums = f32x4.add(sums, v128.shuffle<f32>(sums, sums, 2, 3, 0, 1));
    sums = f32x4.add(sums, v128.shuffle<f32>(sums, sums, 1, 0, 3, 2));
    const factor = f32x4.div(splat(1), sums);
    for (let at = x; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor));
    x += stride;
  }
}

/** gate = silu(gate) * up, silu(x) = x / (1 + e^-x). `count` is a multiple of 4. */
export function gateSilu(gate: usize, up: usize, count: i32): void {
  const end = gate + (count << 2);
  for (; gate < end; gate += 16, up += 16) {
    const x = v128.load(gate);
    const silu = f32x4.div(x, f32x4.add(splat(1), exponential(f32x4.neg(x))));
    v128.store(gate, f32x4.mul(silu, v128.load(up)));
  }
}

/** x = gelu(x) in its tanh form, which is x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3). `count` is a multiple of 4. */
export function gelu(x: usize, count: i32): void {
  const end = x + (count << 2);
  for (; x < end; x += 16) {
    // Below -8 it is 0 to F32 precision, and stays what it is at -8.
    const inside = f32x4.pmax(v128.load(x), splat(-8));
    const cubic = multiplyAdd(f32x4.mul(inside, inside), splat(0.044715), splat(1));
    const doubled = f32x4.mul(f32x4.mul(inside, cubic), splat(-1.5957691216));
    v128.store(x, f32x4.div(inside, f32x4.add(splat(1), exponential(doubled))));
  }
}
