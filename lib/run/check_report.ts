/** Holds a report against the checkpoint it is about, as decoded from disk. */

import { BadInputError } from "../base/errors.ts";
import { countNouns, quote } from "../base/text.ts";
import type { Quality } from "../params/measure_quality.ts";
import type { FormatName } from "../types.ts";
import type { Verification } from "./verify_checkpoint.ts";

/** The figures of a report that a checkpoint can be held against. */
export interface ReportedQuality extends Quality {
  /** Name, cosine similarity and SQNR of each quantized layer. */
  layers: readonly ({ name: string } & Quality)[];
  /** Output weights on disk, in 10^6 bytes. */
  model_size_mb: number;
}

/**
 * How far a figure may lie from what is decoded. Kernels add up in single precision over short runs, and
 * smoothing replaces a part of a sum: both were seen to move a figure by less than a hundredth of this. Above
 * `exact` dB two figures are the same: what is left of an error is rounding.
 */
const TOLERANCE = { cosine: 1e-5, db: 0.01, exact: 120, size: 1e-5 };

/**
 * The same where zero points are stored in units of the weights, rounded to F16 or BF16: a weight may be off by
 * another 32nd of a step, which shows in layers of few weights and in those that lose next to nothing.
 */
const ROUNDED_TOLERANCE = { ...TOLERANCE, cosine: 5e-5, db: 0.05, exact: 40 };

/** Formats that store them so. */
const ROUNDING_FORMATS: readonly FormatName[] = ["gguf", "comfy"];

/**
 * Checks a report.
 *
 * @param about.name The report's name, for the message.
 * @param about.byteLength Bytes of the checkpoint's weight files.
 * @throws {BadInputError} A layer is in only one of the two, or a figure differs; the message names the
 *   first one and says how many there are.
 */
export function checkReport(
  report: ReportedQuality,
  { layers, ...whole }: Verification,
  { name, byteLength }: { name: string; byteLength: number },
): void {
  const reported = new Map(report.layers.map((layer) => [layer.name, layer]));
  const problems: string[] = [];
  const most = ROUNDING_FORMATS.includes(whole.format) ? ROUNDED_TOLERANCE : TOLERANCE;
  const compare = (subject: string, said: Quality, found: Quality) => {
    const { cosine_similarity: cosine, sqnr_db: db } = found;
    if (!(Math.abs(said.cosine_similarity - cosine) <= most.cosine)) {
      problems.push(`${subject}cosine similarity ${said.cosine_similarity}, on disk ${cosine}`);
    } else if (!isSameSqnr(said.sqnr_db, db, most)) {
      problems.push(`${subject}SQNR ${said.sqnr_db} dB, on disk ${db} dB`);
    }
  };
  for (const { name, ...found } of layers) {
    const said = reported.get(name);
    if (said === undefined) problems.push(`no layer ${quote(name)}, which is on disk`);
    else compare(`for layer ${quote(name)} `, said, found);
    reported.delete(name);
  }
  for (const name of reported.keys()) problems.push(`a layer ${quote(name)}, which is not on disk`);
  compare("", report, whole);
  const size = byteLength / 1e6;
  if (!(Math.abs(report.model_size_mb - size) <= most.size * size)) {
    problems.push(`${report.model_size_mb} MB, on disk ${size} MB`);
  }
  if (problems.length === 0) return;
  throw new BadInputError(
    `Verification failed: the report ${quote(name)} says ${problems[0]}: ` +
      `${countNouns(problems.length, "figure")} in all: it is of another run, or the files changed`,
  );
}

/** `null` is no error at all. */
function isSameSqnr(
  said: number | null,
  found: number | null,
  { db, exact }: Pick<typeof TOLERANCE, "db" | "exact">,
): boolean {
  const [a, b] = [said ?? Infinity, found ?? Infinity];
  if (a >= exact && b >= exact) return true;
  return Math.abs(a - b) <= db;
}
