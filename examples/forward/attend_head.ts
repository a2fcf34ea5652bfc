/** Self-attention of one head over one sequence (Vaswani et al. 2017, arXiv:1706.03762). */

import { type Matrix, type Multiplier, PANEL, panelIndex, type Panels } from "./multiplier.ts";

/** One head of one sequence: parts of the arrays that all of them share. */
export interface Head {
  /** [rows, head size]. */
  queries: Matrix;
  /** [tokens, head size]. */
  keys: Matrix;
  /** [tokens, head size]. */
  values: Panels;
  /** [rows, head size]. */
  out: Matrix;
}

/** What one head is computed in, in a multiplier's memory. */
export interface HeadSpace {
  /** Keys as columns: [head size, tokens]. */
  keys: Panels;
  /** How much of each token goes into which: [tokens, tokens]. */
  shares: Matrix;
  /** Nothing, [tokens or head size, whichever is more], where a product has a bias. */
  zeros: Float32Array;
  /** Tokens of a sequence, a multiple of 8. */
  tokens: number;
  /** Features of a head, a multiple of 8. */
  headSize: number;
  /** In whose memory all of it lies. */
  multiplier: Multiplier;
}

/** Takes the memory for sequences of one length. */
export function createHeadSpace(
  multiplier: Multiplier,
  tokens: number,
  headSize: number,
): HeadSpace {
  return {
    keys: {
      values: multiplier.allocate(headSize * tokens),
      stride: PANEL,
      panelStride: headSize * PANEL,
    },
    shares: { values: multiplier.allocate(tokens * tokens), stride: tokens },
    zeros: multiplier.allocate(Math.max(tokens, headSize)),
    tokens,
    headSize,
    multiplier,
  };
}

/** A head's values where they lie: eight features of each token in turn are a panel already. */
export function asValues(values: Float32Array, stride: number): Panels {
  return { values, stride, panelStride: PANEL };
}

/**
 * Each query takes a mean of the sequence's values, weighted by softmax(q k / sqrt(head size)).
 *
 * @param head Its `out` is written.
 * @param rows Queries, a multiple of 4 and at most as many as tokens.
 */
export function attendHead(head: Head, space: HeadSpace, rows: number): void {
  const { keys, shares, zeros, tokens, headSize, multiplier } = space;
  layKeys(head.keys, space);
  multiplier.multiply({
    x: head.queries,
    w: keys,
    bias: zeros.subarray(0, tokens),
    out: shares,
    rows,
    inner: headSize,
  });
  multiplier.softmax(shares, rows, tokens);
  multiplier.multiply({
    x: shares,
    w: head.values,
    bias: zeros.subarray(0, headSize),
    out: head.out,
    rows,
    inner: tokens,
  });
}

/** Turns keys into columns, divided by sqrt(head size) for the scores they will make. */
function layKeys({ values, stride }: Matrix, { keys, tokens, headSize }: HeadSpace): void {
  const factor = 1 / Math.sqrt(headSize);
  for (let token = 0; token < tokens; token++) {
    const [from, to] = [token * stride, panelIndex(keys, 0, token)];
    for (let i = 0; i < headSize; i++) {
      keys.values[to + i * keys.stride] = values[from + i]! * factor;
    }
  }
}
