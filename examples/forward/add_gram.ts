/** Gram matrices of rows, on a multiplier: sums of x x^T. */

import { type Multiplier, PANEL, UNROLLED } from "./multiplier.ts";

/** Rows of a Gram matrix that are computed at a time; of each band only what lies right of its first one. */
const BAND = 64;

/** The memory that products are computed in. */
export interface GramSpace {
  /** Whose memory it is. */
  multiplier: Multiplier;
  /** x^T: [columns, rows]. */
  turned: Float32Array;
  /** x in panels of 8 columns. */
  panels: Float32Array;
  /** Zeros: [columns]. */
  bias: Float32Array;
  /** A band of the product: [64, columns]. */
  band: Float32Array;
}

/**
 * Takes the memory.
 *
 * @param columns Most columns of x.
 * @param rows Most rows that are added at a time.
 */
export function createGramSpace(
  multiplier: Multiplier,
  columns: number,
  rows: number,
): GramSpace {
  const size = columns * Math.ceil(rows / UNROLLED) * UNROLLED;
  return {
    multiplier,
    turned: multiplier.allocate(size),
    panels: multiplier.allocate(size),
    bias: multiplier.allocate(columns),
    band: multiplier.allocate(BAND * columns),
  };
}

/**
 * sum += weight * x^T x, of which only the upper triangle is computed: entries (i, j), j >= i. Products are
 * summed in F32 over the rows of one call, and in F64 over calls.
 *
 * @param x [rows, columns] or longer.
 * @param rows At most those that the space was taken for.
 * @param columns A multiple of 8.
 * @param sum [columns, columns].
 * @throws {RangeError} The columns are no such multiple, or the space is too small.
 */
export function addGram(
  space: GramSpace,
  x: Float32Array,
  rows: number,
  columns: number,
  weight: number,
  sum: Float64Array,
): void {
  const inner = Math.ceil(rows / UNROLLED) * UNROLLED;
  if (
    columns % PANEL !== 0 || columns > space.bias.length || columns * inner > space.turned.length
  ) {
    throw new RangeError(
      `Cannot add [${rows},${columns}] to a Gram matrix: columns come by ${PANEL}, ` +
        `and the space has ${space.turned.length} elements for up to ${space.bias.length} of them`,
    );
  }
  layOut(space, x, rows, columns, inner);
  const { multiplier, turned, panels, bias, band } = space;
  for (let top = 0; top < columns; top += BAND) {
    const height = Math.min(BAND, columns - top);
    multiplier.multiply({
      x: { values: turned.subarray(top * inner), stride: inner },
      w: { values: panels.subarray(top * inner), stride: PANEL, panelStride: PANEL * inner },
      bias: bias.subarray(0, columns - top),
      out: { values: band, stride: columns },
      rows: height,
      inner,
    });
    for (let i = 0; i < height; i++) {
      const to = (top + i) * columns + top;
      for (let j = i; j < columns - top; j++) {
        sum[to + j] = sum[to + j]! + weight * band[i * columns + j]!;
      }
    }
  }
}

/** Both operands of the product; rows that make the length of sums even are 0. */
function layOut(
  { turned, panels }: GramSpace,
  x: Float32Array,
  rows: number,
  columns: number,
  inner: number,
): void {
  for (let row = 0; row < inner; row++) {
    for (let column = 0; column < columns; column++) {
      const value = row < rows ? x[row * columns + column]! : 0;
      turned[column * inner + row] = value;
      panels[(column - column % PANEL) * inner + row * PANEL + column % PANEL] = value;
    }
  }
}

/** Copies the upper triangle of a matrix to the lower one. */
export function mirrorTriangle(sum: Float64Array, columns: number): void {
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j < i; j++) sum[i * columns + j] = sum[j * columns + i]!;
  }
}
