// How shaders that need their values read weights; what is behind it in the module calls `weight`.

/// 0: BF16, 1: F16, 2: F32.
override KIND: u32 = 0;

@group(0) @binding(0) var<storage, read> weights: array<u32>;

/// A weight as F32; subnormal ones count as 0.
fn weight(index: u32) -> f32 {
  if KIND == 2u {
    let bits = weights[index];
    return select(bitcast<f32>(bits), 0.0, (bits & 0x7f800000u) == 0u);
  }
  let half = (weights[index / 2u] >> (index % 2u * 16u)) & 0xffffu;
  if KIND == 0u {
    return select(bitcast<f32>(half << 16u), 0.0, (half & 0x7f80u) == 0u);
  }
  let exponent = (half >> 10u) & 31u;
  let mantissa = half & 0x3ffu;
  let normal = bitcast<f32>(((exponent + 112u) << 23u) | (mantissa << 13u));
  // 2^-24 times an integer: exact, and no subnormal F32 on the way.
  let magnitude = select(normal, f32(mantissa) * 5.9604644775390625e-8, exponent == 0u);
  return select(magnitude, -magnitude, (half & 0x8000u) != 0u);
}

