/** Writes text by iterative unmasking, as LLaDA does (Nie et al. 2025, arXiv:2502.09992). */

import { softmax } from "../forward/activations.ts";
import { createRandom } from "../forward/random.ts";
import { DLM } from "./dimensions.ts";
import type { LanguageModel } from "./language_model.ts";
import { predictTokens } from "./predict_tokens.ts";

/** How text is written. */
export const UNMASKING = {
  /** Tokens unmasked at a time, in random order: 64 steps for 128 of them. */
  perStep: 2,
  /** What logits are divided by; below 1 the likelier tokens are preferred. */
  temperature: 0.7,
} as const;

/**
 * Writes a sequence from nothing but masks.
 *
 * @param seed The same seed and weights give the same tokens.
 * @returns Tokens: [128], none of which is the mask.
 */
export function unmask(model: LanguageModel, seed: number): Int32Array {
  const random = createRandom(seed);
  const ids = new Int32Array(DLM.tokens).fill(DLM.mask);
  const order = shuffle(DLM.tokens, random);
  for (let at = 0; at < order.length; at += UNMASKING.perStep) {
    const positions = order.slice(at, at + UNMASKING.perStep);
    const logits = predictTokens(model, ids, positions);
    for (const [row, position] of positions.entries()) {
      const from = row * DLM.vocabulary;
      // The mask is the last token of the vocabulary, so it is left out.
      ids[position] = drawToken(logits.subarray(from, from + DLM.mask), random());
    }
  }
  return ids;
}

/** 0, .. count - 1 in random order (Fisher & Yates). */
function shuffle(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/**
 * A token as likely as its logit says.
 *
 * @param uniform Of [0, 1): how much of all likelihood, in the order of tokens, lies before it.
 */
function drawToken(logits: Float32Array, uniform: number): number {
  const shares = Float64Array.from(logits, (logit) => logit / UNMASKING.temperature);
  softmax(shares, 0, shares.length);
  let before = 0;
  for (const [token, share] of shares.entries()) {
    before += share;
    if (uniform < before) return token;
  }
  // Where rounding leaves the sum below 1.
  return shares.length - 1;
}
