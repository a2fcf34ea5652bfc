/** An entry of a history in words. */

import { formatDecibel, formatScore } from "../../templates/client/format.js";
import { gradedSqnr, type HistoryEntry } from "../history/entry.ts";

/**
 * The figures of an entry that are followed: `good, SQNR of the weights 20.31 dB, score 0.9638, 0.48 MB, 1.23 s`.
 */
export function describeEntry(entry: HistoryEntry): string {
  const { grade, measure, smoothness_score: score } = entry;
  return [
    grade,
    `SQNR of the ${measure} ${formatDecibel(gradedSqnr(entry))}`,
    score === null ? "no boundary to score" : `score ${formatScore(score)}`,
    `${formatMegabytes(entry.model_size_mb)} MB`,
    `${formatSeconds(entry.quantization_time_s)} s`,
  ].join(", ");
}

/** `1 entry`, `2 entries`. */
export function countEntries(count: number): string {
  return count === 1 ? "1 entry" : `${count} entries`;
}

/** A size in 10^6 bytes, without its unit: a small model's to the kilobyte. */
export function formatMegabytes(value: number): string {
  return value.toFixed(value < 10 ? 3 : 2);
}

/** A wall time in seconds, without its unit. */
export function formatSeconds(value: number): string {
  return value.toFixed(2);
}
