/**
 * What error compensation has to know of a layer, once for all its rows: the order of its columns, and how the
 * error of those that are done moves each next one.
 *
 * The rule is that of GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
 * Transformers", 2023; after Hassibi and Stork, "Second Order Derivatives for Network Pruning: Optimal Brain
 * Surgeon", 1993) on H = diag(D) + K K^T, without a C x C matrix: the error of a row so far is kept as the r
 * numbers e = sum (v - w) K, and a column's weight moves by e . G.
 */

import type { CompensationInputs } from "../types.ts";

/** Second moments of the inputs of a layer: H ~ diag(D) + K K^T. */
export interface InputMoments {
  /** Input features. */
  columns: number;
  /** Columns of K. */
  rank: number;
  /** K: [columns * rank], row by row. */
  sketch: Float64Array;
  /** D: [columns], above 0. */
  diagonal: Float64Array;
  /** The diagonal of H: [columns]. */
  square: Float64Array;
}

/**
 * Plans the compensation of a layer: columns in falling order of their second moment, since an error that is made
 * early can still be made good. Gains in F64, backwards over that order, with P [r, r] = I at first:
 * p = P K_j, d = D_j + K_j . p, G_j = p / d, P -= p p^T / d.
 *
 * @param segments The moments in each segment of the time axis, by which the outcome is measured.
 */
export function planCompensation(
  { columns, rank, sketch, diagonal, square }: InputMoments,
  segments?: readonly InputMoments[],
): CompensationInputs {
  const order = Int32Array.from({ length: columns }, (_, column) => column)
    .sort((a, b) => square[b]! - square[a]! || a - b);
  const shared = <T extends Float32Array | Int32Array>(
    make: new (buffer: SharedArrayBuffer) => T,
    length: number,
  ) => new make(new SharedArrayBuffer(length * 4));
  const inputs: CompensationInputs = {
    rank,
    order: shared(Int32Array, columns),
    sketch: shared(Float32Array, columns * rank),
    gains: shared(Float32Array, columns * rank),
    diagonal: shared(Float32Array, columns),
  };
  inputs.order.set(order);
  sortMoments({ rank, sketch, diagonal }, order, inputs);
  if (segments !== undefined) {
    inputs.segments = segments.map((own) => {
      const sorted = {
        rank: own.rank,
        sketch: shared(Float32Array, columns * own.rank),
        diagonal: shared(Float32Array, columns),
      };
      sortMoments(own, order, sorted);
      return sorted;
    });
  }
  const inverse = new Float64Array(rank * rank);
  for (let k = 0; k < rank; k++) inverse[k * rank + k] = 1;
  const moved = new Float64Array(rank);
  for (let p = columns - 1; p >= 0; p--) {
    const column = order[p]!;
    const own = sketch.subarray(column * rank, (column + 1) * rank);
    let scale = diagonal[column]!;
    for (let i = 0; i < rank; i++) {
      let sum = 0;
      for (let k = 0, at = i * rank; k < rank; k++, at++) sum += inverse[at]! * own[k]!;
      moved[i] = sum;
      scale += sum * own[i]!;
    }
    for (let i = 0; i < rank; i++) {
      const share = moved[i]! / scale;
      inputs.gains[p * rank + i] = share;
      for (let k = 0, at = i * rank; k < rank; k++, at++) {
        inverse[at] = inverse[at]! - share * moved[k]!;
      }
    }
  }
  return inputs;
}

/** Puts K and D into an order of columns. */
function sortMoments(
  { rank, sketch, diagonal }: Pick<InputMoments, "rank" | "sketch" | "diagonal">,
  order: Int32Array,
  to: Pick<CompensationInputs, "sketch" | "diagonal">,
): void {
  for (const [p, column] of order.entries()) {
    to.sketch.set(sketch.subarray(column * rank, (column + 1) * rank), p * rank);
    to.diagonal[p] = diagonal[column]!;
  }
}
