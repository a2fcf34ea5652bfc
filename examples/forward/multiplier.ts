/** What models spend their time in: matrix products, softmax, SiLU and GELU; what a multiplier promises of them. */

/** Rows of a product are a multiple of this. */
export const TILE_ROWS = 4;

/** Columns of a product are a multiple of this: the width of a panel. */
export const PANEL = 8;

/** The length of a product's sums is a multiple of this. */
export const UNROLLED = 2;

/** Elements that are computed side by side: all but products take a multiple of this. */
const LANES = 4;

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
 * Computes with what lies in its own memory. Each element of a product starts at its bias and is
 * summed in order, with one rounding to F32 for each product and each sum, and so is all else: every
 * multiplier gives the same bits on any machine.
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
  /**
   * Makes shares of scores, in place.
   *
   * @param x [rows, columns], of its own memory.
   * @param columns A multiple of 4.
   * @throws {RangeError} It is not, or the operand is too short.
   */
  softmax(x: Matrix, rows: number, columns: number): void;
  /**
   * gate = silu(gate) * up, silu(x) = x / (1 + e^-x).
   *
   * @param gate Of its own memory; as many elements as `up`, a multiple of 4.
   * @throws {RangeError} They are not.
   */
  gateSilu(gate: Float32Array, up: Float32Array): void;
  /**
   * GELU in its tanh form (Hendrycks & Gimpel 2016, arXiv:1606.08415), in place.
   *
   * @param x Of its own memory; a multiple of 4 elements.
   * @throws {RangeError} It is not.
   */
  gelu(x: Float32Array): void;
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

/**
 * Checks that a multiplier can make shares of scores.
 *
 * @throws {RangeError} It cannot.
 */
export function checkScores({ values, stride }: Matrix, rows: number, columns: number): void {
  const fits = (rows - 1) * stride + columns <= values.length;
  if (rows > 0 && columns > 0 && columns % LANES === 0 && fits) return;
  throw new RangeError(
    `Cannot make shares of [${rows},${columns}]: columns come by ${LANES}, and operands must hold them all`,
  );
}

/**
 * Checks that a multiplier can compute element by element.
 *
 * @throws {RangeError} It cannot.
 */
export function checkElements(x: Float32Array, other: Float32Array = x): void {
  if (x.length === other.length && x.length % LANES === 0) return;
  throw new RangeError(
    `Cannot compute ${x.length} by ${other.length} elements: as many of each, by ${LANES}`,
  );
}
