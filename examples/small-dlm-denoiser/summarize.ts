/** Turns what was found at single sequences into the figures of a model. */

import type { Comparison } from "./compare_logits.ts";
import { DLM } from "./dimensions.ts";
import type { Sequence } from "./read_text.ts";

/** Figures of one noise level. */
export interface LevelFigures {
  /** Share of masked tokens, 0 to 1. */
  level: number;
  /** Kullback-Leibler divergence from the original's predictions at masked positions, nats. */
  kl: number;
  /** Share of masked positions whose likeliest token is the original's, 0 to 1. */
  agreement: number;
  /** Share of masked positions whose likeliest token is the true one, 0 to 1. */
  accuracy: number;
  /** Of the true tokens at masked positions, nats a token. */
  cross_entropy: number;
  /** Signal to quantization noise of the logits less their mean at each position, dB. */
  logit_sqnr_db: number;
}

/** What became of a model. */
export interface Evaluation {
  /** From the least to the most noise. */
  levels: LevelFigures[];
  /** Mean over the levels, nats. */
  kl: number;
  /** Mean over the levels, 0 to 1. */
  agreement: number;
  /** Mean over the levels, 0 to 1. */
  accuracy: number;
  /** Over all levels, dB; `Infinity` where the logits are equal. */
  logit_sqnr_db: number;
  /** The bound on the text's negative log-likelihood (NELBO) by the mean over the levels, bits a byte. */
  nelbo_bits_per_byte: number;
}

/**
 * Sums up in the order of the sequences.
 *
 * @param sequences The text, of which every level has a part.
 * @param comparisons What was found at each of them.
 */
export function summarize(
  sequences: readonly Sequence[],
  comparisons: readonly Comparison[],
): Evaluation {
  const total = { signal: 0, noise: 0 };
  const found = [...new Set(sequences.map(({ level }) => level))].sort((a, b) => a - b);
  const levels = found.map((level) => {
    const indices = [...sequences.keys()].filter((index) => sequences[index]!.level === level);
    const sum = (key: keyof Comparison) =>
      indices.reduce((sum, index) => sum + comparisons[index]![key], 0);
    const count = indices.reduce((sum, index) => sum + sequences[index]!.truth.length, 0);
    const [signal, noise] = [sum("signal"), sum("noise")];
    total.signal += signal;
    total.noise += noise;
    return {
      level,
      kl: sum("kl") / count,
      agreement: sum("agreed") / count,
      accuracy: sum("right") / count,
      cross_entropy: sum("crossEntropy") / count,
      logit_sqnr_db: 10 * Math.log10(signal / noise),
    };
  });
  const mean = (key: keyof LevelFigures) =>
    levels.reduce((sum, figures) => sum + figures[key], 0) / levels.length;
  const bytes = sequences.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    levels,
    kl: mean("kl"),
    agreement: mean("agreement"),
    accuracy: mean("accuracy"),
    logit_sqnr_db: 10 * Math.log10(total.signal / total.noise),
    nelbo_bits_per_byte: mean("cross_entropy") / Math.LN2 * sequences.length * DLM.tokens / bytes,
  };
}
