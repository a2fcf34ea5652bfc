/** From energies to the two figures of quantization quality. */

import { BadInputError } from "../base/errors.ts";
import type { QualitySums } from "../types.ts";

/** Quality of a quantized layer or model. */
export interface Quality {
  /** Cosine similarity of the source and the decoded weights, -1 to 1; 1 where both are all zero. */
  cosine_similarity: number;
  /** Signal to quantization noise ratio in dB; `null` where there is no noise at all. */
  sqnr_db: number | null;
}

/** Whether energies say anything: each is a finite number, 0 or more, and without a signal there is no error. */
export function areMeasured({ signal, decoded, error }: QualitySums): boolean {
  const areFinite = [signal, decoded, error].every((sum) => sum >= 0 && Number.isFinite(sum));
  return areFinite && (signal > 0 || error === 0);
}

/**
 * Cosine similarity <x, v> / (|x| |v|) and SQNR 10 log10(sum x^2 / sum (x - v)^2), with
 * <x, v> = (sum x^2 + sum v^2 - sum (x - v)^2) / 2.
 *
 * @throws {BadInputError} An energy is negative or no finite number, or there is an error without a signal.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(measureQuality({ signal: 100, decoded: 100, error: 1 }).sqnr_db, 20);
 * ```
 */
export function measureQuality({ signal, decoded, error }: QualitySums): Quality {
  if (!areMeasured({ signal, decoded, error })) {
    throw new BadInputError(
      `Cannot measure quality: the energies are ${signal}, ${decoded} and ${error}, ` +
        "must be finite and not negative, and 0 throughout where the first is",
    );
  }
  const norm = Math.sqrt(signal) * Math.sqrt(decoded);
  const dot = (signal + decoded - error) / 2;
  const cosine = norm > 0 ? Math.min(1, Math.max(-1, dot / norm)) : error > 0 ? 0 : 1;
  return {
    cosine_similarity: cosine,
    sqnr_db: error > 0 && signal > 0 ? 10 * Math.log10(signal / error) : null,
  };
}

/**
 * SQNR of a layer's output in dB: 10 log10(sum x H x^T / sum d H d^T), x the source weights, d their errors and H
 * the second moments of the layer's inputs; `undefined` where nothing is known of the inputs, or one of the two
 * is 0 or no number.
 */
export function measureOutput({ output }: Pick<QualitySums, "output">): number | undefined {
  if (output === undefined) return undefined;
  const db = 10 * Math.log10(output.signal / output.error);
  return Number.isFinite(db) ? db : undefined;
}

/**
 * The output SQNR of several layers in dB: that of their mean relative error, each weighted by its elements, since
 * outputs of different layers have different scales. Layers of which it is unknown are left out; `undefined` where
 * it is of all.
 */
export function measureOutputs(
  layers: readonly { elements: number; sums: QualitySums }[],
): number | undefined {
  let [error, elements] = [0, 0];
  for (const { elements: own, sums } of layers) {
    if (sums.output === undefined || measureOutput(sums) === undefined) continue;
    error += own * sums.output.error / sums.output.signal;
    elements += own;
  }
  return elements === 0 ? undefined : -10 * Math.log10(error / elements);
}

/** The SQNR in dB of an error relative to its signal; `null`: there is no error. */
export function sqnrOf(relative: number): number | null {
  return relative === 0 ? null : -10 * Math.log10(relative);
}

/** The SQNR in dB of the mean relative error of layers, each weighted by its elements; `null`: there is no error. */
export function meanSqnr(
  layers: readonly { elements: number; error: number; signal: number }[],
): number | null {
  let [error, elements] = [0, 0];
  for (const layer of layers) {
    elements += layer.elements;
    if (layer.signal > 0) error += layer.elements * layer.error / layer.signal;
  }
  return error === 0 ? null : sqnrOf(error / elements);
}

/**
 * The energies of several layers, or parts of one, together. Those of the output are left out where one of them
 * has none, since of a part nothing follows for the whole.
 */
export function addSums(all: readonly QualitySums[]): QualitySums {
  const total = { signal: 0, decoded: 0, error: 0 };
  const output = { signal: 0, error: 0 };
  const segments = all[0]?.output?.segments?.map(() => ({ signal: 0, error: 0 }));
  for (const { signal, decoded, error, output: own } of all) {
    total.signal += signal;
    total.decoded += decoded;
    total.error += error;
    output.signal += own?.signal ?? 0;
    output.error += own?.error ?? 0;
    for (const [i, part] of segments?.entries() ?? []) {
      part.signal += own?.segments?.[i]?.signal ?? 0;
      part.error += own?.segments?.[i]?.error ?? 0;
    }
  }
  const isKnown = all.length > 0 && all.every((sums) => sums.output !== undefined);
  const bySegment = all.every((sums) => sums.output?.segments?.length === segments?.length);
  return isKnown
    ? { ...total, output: { ...output, ...bySegment && segments && { segments } } }
    : total;
}

/** The energies of a layer of which some parts were encoded again with other parameters. */
export function replaceSums(
  sums: QualitySums,
  changes: readonly { before: QualitySums; after: QualitySums }[],
): QualitySums {
  const replace = (valueOf: (sums: QualitySums) => number) =>
    changes.reduce(
      (sum, { before, after }) => sum - valueOf(before) + valueOf(after),
      valueOf(sums),
    );
  // What is left of a sum that nearly cancels may fall below 0.
  const atLeast0 = (value: number) => Math.max(0, value);
  const { signal, output } = sums;
  if (output === undefined) return { ...pick() };
  return {
    ...pick(),
    output: {
      signal: output.signal,
      error: atLeast0(replace(({ output }) => output?.error ?? 0)),
      segments: output.segments?.map(({ signal }, i) => ({
        signal,
        error: atLeast0(replace(({ output }) => output?.segments?.[i]?.error ?? 0)),
      })),
    },
  };

  function pick(): QualitySums {
    return {
      signal,
      decoded: replace(({ decoded }) => decoded),
      error: atLeast0(replace(({ error }) => error)),
    };
  }
}
