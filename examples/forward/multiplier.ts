/** Matrix products: what is multiplied, and what a multiplier promises. */

/** Rows of a product are a multiple of this. */
export const TILE_ROWS = 4;

/** Columns of a product are a multiple of this: the width of a panel. */
export const PANEL = 8;

/** The length of a product's sums is a multiple of this. */
export const UNROLLED = 2;

/** A matrix, or a part of one, row by row. */
export interface Matrix {
  /** From the first element on. */
  values: Float32Array;
  /** Elements from one row to the next. */
  stride: number;
}

/** A matrix cut into panels of 8 columns each. */
export interface Panels extends Matrix {
  /** Elements from one panel to the next. */
  panelStride: number;
}

/** A product out = x w + bias, all of it in the memory of one multiplier. */
export interface Product {
  /** [rows, inner]. */
  x: Matrix;
  /** [inner, columns]. */
  w: Panels;
  /** Added to each row: [columns], columns a multiple of 8. */
  bias: Float32Array;
  /** [rows, columns]. */
  out: Matrix;
  /** A multiple of 4. */
  rows: number;
  /** Length of the sums, a multiple of 2. */
  inner: number;
}

/**
 * Multiplies matrices that lie in its own memory. Each element of a product starts at its bias and is
 * summed in order, with one rounding to F32 for each product and each sum: every multiplier gives the
 * same bits on any machine.
 */
export interface Multiplier {
  /**
   * Takes a part of its memory, for good.
   *
   * @returns As many zeros.
   * @throws {RangeError} So much is not left.
   */
  allocate(length: number): Float32Array;
  /**
   * Computes a product.
   *
   * @throws {RangeError} A dimension is not such a multiple, or an operand is too short.
   */
  multiply(product: Product): void;
}

/** Where element (inner `i`, column `column`) lies among panels. */
export function panelIndex({ stride, panelStride }: Panels, i: number, column: number): number {
  return Math.floor(column / PANEL) * panelStride + i * stride + column % PANEL;
}

/**
 * Checks that a product is one a multiplier can compute without leaving its operands.
 *
 * @throws {RangeError} It is not.
 */
export function checkProduct({ x, w, bias, out, rows, inner }: Product): void {
  const columns = bias.length;
  if (
    rows > 0 && inner > 0 && columns > 0 &&
    rows % TILE_ROWS === 0 && inner % UNROLLED === 0 && columns % PANEL === 0 &&
    (rows - 1) * x.stride + inner <= x.values.length &&
    (rows - 1) * out.stride + columns <= out.values.length &&
    panelIndex(w, inner - 1, columns - 1) < w.values.length
  ) return;
  throw new RangeError(
    `Cannot multiply [${rows},${inner}] by [${inner},${columns}]: ` +
      `rows come by ${TILE_ROWS}, columns by ${PANEL}, the length of sums by ${UNROLLED}, ` +
      `and operands must hold them all`,
  );
}
