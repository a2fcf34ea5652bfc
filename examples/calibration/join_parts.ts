/** Runs of timesteps: what each measured, put together in the order of time. */

import { segmentRange } from "../../lib/calibration/calibration.ts";
import { mirrorTriangle } from "../forward/add_gram.ts";
import type { Ranges, Steps, Sums } from "./measure_inputs.ts";

/** Each segment is cut until there are about so many runs, whatever the number of workers: sums have one order. */
const PARTS = 8;

/** A run of timesteps within one segment. */
export interface Part extends Steps {
  /** Index of the segment. */
  segment: number;
}

/** H of one segment. */
export interface MeanGram {
  /** Weighted mean of x x^T: [columns, columns]. */
  values: Float64Array;
  /** Its rows. */
  columns: number;
}

/** Cuts the time axis into runs. */
export function planParts(timesteps: number, segments: number): Part[] {
  return Array.from({ length: segments }, (_, segment) => {
    const { from, to } = segmentRange(segment, segments, timesteps);
    const count = Math.min(to - from, Math.ceil(PARTS / segments));
    return Array.from({ length: count }, (_, i) => ({
      segment,
      from: from + Math.floor((to - from) * i / count),
      to: from + Math.floor((to - from) * (i + 1) / count),
    }));
  }).flat();
}

/** Ranges of a layer at all timesteps. */
export function joinRanges(parts: readonly Ranges[]): Ranges {
  return {
    min: Float32Array.from(parts.flatMap(({ min }) => [...min])),
    max: Float32Array.from(parts.flatMap(({ max }) => [...max])),
  };
}

/** Least and largest input at all timesteps. */
export function boundsOf({ min, max }: Ranges): [min: number, max: number] {
  return [Math.min(...min), Math.max(...max)];
}

/** Histograms of a layer at all timesteps: [T, bins]. */
export function joinHistograms(parts: readonly Sums[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { histogram }) => sum + histogram.length, 0));
  let at = 0;
  for (const { histogram } of parts) {
    all.set(histogram, at);
    at += histogram.length;
  }
  return all;
}

/**
 * H of a layer in each segment.
 *
 * @param sums Of each part; the first of a segment is written over.
 */
export function meanGrams(sums: readonly Sums[], parts: readonly Part[]): MeanGram[] {
  const means: MeanGram[] = [];
  for (const [segment, own] of Map.groupBy(sums, (_, i) => parts[i]!.segment)) {
    const values = own[0]!.gram;
    for (const { gram } of own.slice(1)) {
      for (let i = 0; i < values.length; i++) values[i] = values[i]! + gram[i]!;
    }
    const weight = own.reduce((sum, { weight }) => sum + weight, 0);
    for (let i = 0; i < values.length; i++) values[i] = values[i]! / weight;
    const columns = Math.sqrt(values.length);
    mirrorTriangle(values, columns);
    means[segment] = { values, columns };
  }
  return means;
}

/** The diagonals of matrices, one behind the other. */
export function joinDiagonals(grams: readonly MeanGram[]): Float32Array {
  return Float32Array.from(
    grams.flatMap(({ values, columns }) =>
      Array.from({ length: columns }, (_, c) => values[c * columns + c]!)
    ),
  );
}
