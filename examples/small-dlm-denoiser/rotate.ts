/** Rotary position embedding (Su et al. 2021, arXiv:2104.09864), halves of a head turned together as in LLaMA. */

import { DLM } from "./dimensions.ts";

/** Pairs of features in a head. */
const PAIRS = DLM.headSize / 2;

/** Cosine and sine for each position and pair: [128, 32]. */
const turns = {
  cosine: new Float64Array(DLM.tokens * PAIRS),
  sine: new Float64Array(DLM.tokens * PAIRS),
};

for (const i of turns.cosine.keys()) {
  const [position, pair] = [Math.floor(i / PAIRS), i % PAIRS];
  const angle = position * DLM.theta ** (-pair / PAIRS);
  turns.cosine[i] = Math.cos(angle);
  turns.sine[i] = Math.sin(angle);
}

/**
 * Turns features i and i + 32 of each head by position * 10000^(-i / 32).
 *
 * @param x Queries or keys, which are written over: rows of `stride`, heads of 64 side by side first.
 * @param heads How many of them.
 * @param positions Where in its sequence each row stands: [rows], 0 to 127.
 */
export function rotate(
  x: Float32Array,
  stride: number,
  heads: number,
  positions: ArrayLike<number>,
): void {
  const { cosine, sine } = turns;
  for (let row = 0; row < positions.length; row++) {
    const turn = positions[row]! * PAIRS;
    for (let head = 0; head < heads; head++) {
      const from = row * stride + head * DLM.headSize;
      for (let i = 0; i < PAIRS; i++) {
        const [at, c, s] = [from + i, cosine[turn + i]!, sine[turn + i]!];
        const [a, b] = [x[at]!, x[at + PAIRS]!];
        x[at] = a * c - b * s;
        x[at + PAIRS] = b * c + a * s;
      }
    }
  }
}
