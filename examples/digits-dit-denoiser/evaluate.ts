/** Judges quantized models by what they do: the noise they predict and the digits they draw. */

import { type Classifier, classify, trainClassifier } from "./classify.ts";
import { type JudgedPart, loadCandidate } from "../forward/load_candidate.ts";
import { loadWeights } from "../forward/load_weights.ts";
import { INPUTS, type Inputs, type Observation, sampleLabel } from "./observe.ts";
import { readDigits } from "./read_digits.ts";
import { startObservers } from "./start_observers.ts";

/** What became of a model. */
export interface Evaluation {
  /**
   * 10 log10(sum eps^2 / sum (eps - eps')^2) in dB, of the noise that the original and the quantized
   * model predict for digits at 50 timesteps; `Infinity` where they are equal.
   */
  denoiser_sqnr_db: number;
  /** Share of the drawn digits that are recognised as the digit they should show, 0 to 1. */
  recognized_share: number;
  /** The drawn digits as grey levels: [60, 64] by default, 0 (background) to 16; image i shows digit i mod 10. */
  samples: Uint8Array;
}

/** Compares quantized models with one original, on workers that stay. */
export interface Evaluator {
  /** What the original itself does. */
  original: Evaluation;
  /**
   * Evaluates what a run wrote.
   *
   * @param part What of it. Default: `both`, all that it stores: where it quantizes no activations, its weights.
   * @throws {BadInputError} The directory is no digits DiT, its packed layers or schedules are malformed, or its
   *   activations are asked for alone where it quantizes none.
   */
  evaluate(directory: string, part?: JudgedPart): Promise<Evaluation>;
  /** Stops the workers; until then they keep the process alive. */
  close(): void;
}

/**
 * Observes the original once, so that any number of quantized models can be compared with it.
 *
 * @param modelDirectory The digits DiT.
 * @param workers How many; figures do not depend on it. Default: one for each processor.
 * @param inputs What all models are judged by.
 * @throws {BadInputError} The directory is no digits DiT.
 */
export async function createEvaluator(
  modelDirectory: string,
  workers?: number,
  inputs: Inputs = INPUTS,
): Promise<Evaluator> {
  const observers = startObservers(workers);
  try {
    const weights = await loadWeights(modelDirectory);
    const observing = observers.observe({ weights }, inputs);
    const classifier = trainClassifier(readDigits());
    const original = await observing;
    return {
      original: judge(original, original, classifier),
      evaluate: async (directory, part = "both") => {
        const model = await loadCandidate(directory, modelDirectory, weights, part);
        return judge(await observers.observe(model, inputs), original, classifier);
      },
      close: observers.close,
    };
  } catch (error) {
    observers.close();
    throw error;
  }
}

/**
 * Compares one quantized model with its original.
 *
 * @param modelDirectory The digits DiT.
 * @param quantizedDirectory What a run wrote.
 * @throws {BadInputError} A directory is no digits DiT, or its packed layers are malformed.
 */
export async function evaluate(
  modelDirectory: string,
  quantizedDirectory: string,
): Promise<Evaluation> {
  const evaluator = await createEvaluator(modelDirectory);
  try {
    return await evaluator.evaluate(quantizedDirectory);
  } finally {
    evaluator.close();
  }
}

function judge(found: Observation, original: Observation, classifier: Classifier): Evaluation {
  const digits = classify(classifier, found.samples);
  const recognized = digits.filter((digit, i) => digit === sampleLabel(i)).length;
  return {
    denoiser_sqnr_db: measureSqnr(original.eps, found.eps),
    recognized_share: recognized / digits.length,
    samples: found.samples,
  };
}

/** Signal to quantization noise of decoded values in dB: 10 log10(sum x^2 / sum (x - v)^2). */
export function measureSqnr(values: Float32Array, decoded: Float32Array): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    signal += values[i]! ** 2;
    noise += (values[i]! - decoded[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
