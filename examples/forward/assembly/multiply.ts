// AssemblyScript: matrix products with SIMD.
//
// out = x w + bias: x [rows, inner] and out [rows, columns] row by row, w in panels of 8 columns, bias [columns].
// `rows` is a multiple of 4, `inner` of 2, `columns` of 8. Each element starts at its bias and is summed in the
// order of `inner`, with one rounding for each product and each sum, so that a plain loop with Math.fround gives
// the same bits on any machine; relaxed SIMD would not.

// @ts-ignore: a decorator of AssemblyScript

function addProduct(sum: v128, x: v128, w: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, w));
}

/** Multiplies. Pointers and strides are bytes, multiples of 4. */
export function multiply(
  x: usize,
  xStride: usize,
  w: usize,
  wStride: usize,
  panelStride: usize,
  bias: usize,
  out: usize,
  outStride: usize,
  rows: i32,
  inner: i32,
  columns: i32,
): void {
  for (let column: i32 = 0; column < columns; column += 8) {
    const bias0 = v128.load(bias), bias1 = v128.load(bias, 16);
    for (let row: i32 = 0; row < rows; row += 4) {
      // 4 rows of 8 sums: 8 of the 16 vector registers, and each weight loaded serves four rows.
      let a0 = bias0, b0 = bias1, a1 = bias0, b1 = bias1;
      let a2 = bias0, b2 = bias1, a3 = bias0, b3 = bias1;
      let x0 = x + row * xStride;
      let x1 = x0 + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
      let weights = w;
      const end = x0 + (inner << 2);
      // Twice the same, which is a twelfth faster than once.
      while (x0 < end) {
        let w0 = v128.load(weights), w1 = v128.load(weights, 16);
        let value = v128.load_splat<f32>(x0);
        a0 = addProduct(a0, value, w0);
        b0 = addProduct(b0, value, w1);
        value = v128.load_splat<f32>(x1);
        a1 = addProduct(a1, value, w0);
        b1 = addProduct(b1, value, w1);
        value = v128.load_splat<f32>(x2);
        a2 = addProduct(a2, value, w0);
        b2 = addProduct(b2, value, w1);
        value = v128.load_splat<f32>(x3);
        a3 = addProduct(a3, value, w0);
        b3 = addProduct(b3, value, w1);
        weights += wStride;
        w0 = v128.load(weights), w1 = v128.load(weights, 16);
        value = v128.load_splat<f32>(x0, 4);
        a0 = addProduct(a0, value, w0);
        b0 = addProduct(b0, value, w1);
        value = v128.load_splat<f32>(x1, 4);
        a1 = addProduct(a1, value, w0);
        b1 = addProduct(b1, value, w1);
        value = v128.load_splat<f32>(x2, 4);
        a2 = addProduct(a2, value, w0);
        b2 = addProduct(b2, value, w1);
        value = v128.load_splat<f32>(x3, 4);
        a3 = addProduct(a3, value, w0);
        b3 = addProduct(b3, value, w1);
        weights += wStride;
        x0 += 8;
        x1 += 8;
        x2 += 8;
        x3 += 8;
      }
      let to = out + row * outStride;
      v128.store(to, a0);
      v128.store(to, b0, 16);
      to += outStride;
      v128.store(to, a1);
      v128.store(to, b1, 16);
      to += outStride;
      v128.store(to, a2);
      v128.store(to, b2, 16);
      to += outStride;
      v128.store(to, a3);
      v128.store(to, b3, 16);
    }
    w += panelStride;
    bias += 32;
    out += 32;
  }
}
