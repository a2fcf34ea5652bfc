/** Self-attention of the tokens of each image (Vaswani et al. 2017, arXiv:1706.03762). */

import { softmax } from "./activations.ts";
import { DIT } from "./dimensions.ts";
import { type Matrix, type Multiplier, PANEL, panelIndex, type Panels } from "./multiplier.ts";

const { tokens: TOKENS, hidden: HIDDEN, heads: HEADS, headSize: HEAD_SIZE } = DIT;

/** Elements from one token to the next in `qkv`. */
const STRIDE = 3 * HIDDEN;

/** One head of one image: parts of the arrays that all of them share. */
export interface Head {
  /** [16, 32]. */
  queries: Matrix;
  /** [16, 32]. */
  keys: Matrix;
  /** [16, 32]. */
  values: Panels;
  /** [16, 32]. */
  out: Matrix;
}

/** Attention over arrays in a multiplier's memory. */
export interface Attention {
  /** Queries, keys and values of each token: [images * 16, 3 * 128]. */
  qkv: Float32Array;
  /** What it makes of them: [images * 16, 128]. */
  out: Float32Array;
  /** Image by image, head by head. */
  heads: Head[];
  /** Of one head, as columns: [32, 16]. */
  keys: Panels;
  /** How much of each token goes into which: [16, 16]. */
  shares: Matrix;
  /** Nothing, [32], where a product has a bias. */
  zeros: Float32Array;
  /** In whose memory all of it lies. */
  multiplier: Multiplier;
}

/** Takes the memory for so many images. */
export function planAttention(multiplier: Multiplier, images: number): Attention {
  const qkv = multiplier.allocate(images * TOKENS * STRIDE);
  const out = multiplier.allocate(images * TOKENS * HIDDEN);
  return {
    qkv,
    out,
    heads: Array.from({ length: images * HEADS }, (_, index) => {
      const [image, head] = [Math.floor(index / HEADS), index % HEADS];
      const first = image * TOKENS * STRIDE + head * HEAD_SIZE;
      return {
        queries: { values: qkv.subarray(first), stride: STRIDE },
        keys: { values: qkv.subarray(first + HIDDEN), stride: STRIDE },
        // Where they lie, eight features of each token in turn are a panel already.
        values: {
          values: qkv.subarray(first + 2 * HIDDEN),
          stride: STRIDE,
          panelStride: PANEL,
        },
        out: {
          values: out.subarray(image * TOKENS * HIDDEN + head * HEAD_SIZE),
          stride: HIDDEN,
        },
      };
    }),
    keys: {
      values: multiplier.allocate(HEAD_SIZE * TOKENS),
      stride: PANEL,
      panelStride: HEAD_SIZE * PANEL,
    },
    shares: { values: multiplier.allocate(TOKENS * TOKENS), stride: TOKENS },
    zeros: multiplier.allocate(HEAD_SIZE),
    multiplier,
  };
}

/**
 * Multi-head attention: each token takes a mean of its image's values, weighted by
 * softmax(q k / sqrt(32)).
 *
 * @param attention Its first images' `out` is written.
 * @param images How many.
 */
export function attend(attention: Attention, images: number): void {
  const { multiplier, shares, keys, zeros } = attention;
  const noScores = zeros.subarray(0, TOKENS);
  for (let index = 0; index < images * HEADS; index++) {
    const head = attention.heads[index]!;
    layKeys(head.keys, keys);
    multiplier.multiply({
      x: head.queries,
      w: keys,
      bias: noScores,
      out: shares,
      rows: TOKENS,
      inner: HEAD_SIZE,
    });
    for (let row = 0; row < TOKENS; row++) softmax(shares.values, row * TOKENS, TOKENS);
    multiplier.multiply({
      x: shares,
      w: head.values,
      bias: zeros,
      out: head.out,
      rows: TOKENS,
      inner: TOKENS,
    });
  }
}

/** Turns keys into columns, divided by sqrt(32) for the scores they will make. */
function layKeys({ values, stride }: Matrix, panels: Panels): void {
  const factor = 1 / Math.sqrt(HEAD_SIZE);
  for (let token = 0; token < TOKENS; token++) {
    const [from, to] = [token * stride, panelIndex(panels, 0, token)];
    for (let i = 0; i < HEAD_SIZE; i++) {
      panels.values[to + i * panels.stride] = values[from + i]! * factor;
    }
  }
}
