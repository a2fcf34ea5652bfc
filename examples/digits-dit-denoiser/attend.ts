/** Self-attention of the tokens of each image. */

import {
  asValues,
  attendHead,
  createHeadSpace,
  type Head,
  type HeadSpace,
} from "../forward/attend_head.ts";
import type { Multiplier } from "../forward/multiplier.ts";
import { DIT } from "./dimensions.ts";

const { tokens: TOKENS, hidden: HIDDEN, heads: HEADS, headSize: HEAD_SIZE } = DIT;

/** Elements from one token to the next in `qkv`. */
const STRIDE = 3 * HIDDEN;

/** Attention over arrays in a multiplier's memory. */
export interface Attention {
  /** Queries, keys and values of each token: [images * 16, 3 * 128]. */
  qkv: Float32Array;
  /** What it makes of them: [images * 16, 128]. */
  out: Float32Array;
  /** Image by image, head by head; each [16, 32]. */
  heads: Head[];
  /** What one of them is computed in. */
  space: HeadSpace;
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
        values: asValues(qkv.subarray(first + 2 * HIDDEN), STRIDE),
        out: {
          values: out.subarray(image * TOKENS * HIDDEN + head * HEAD_SIZE),
          stride: HIDDEN,
        },
      };
    }),
    space: createHeadSpace(multiplier, TOKENS, HEAD_SIZE),
  };
}

/**
 * Multi-head attention: each token takes a mean of its image's values.
 *
 * @param attention Its first images' `out` is written.
 * @param images How many.
 */
export function attend({ heads, space }: Attention, images: number): void {
  for (let index = 0; index < images * HEADS; index++) attendHead(heads[index]!, space, TOKENS);
}
