/** What is kept of what a model is fed. */

import { BadInputError } from "../../lib/base/errors.ts";
import type { Recording, Statistics } from "./record.ts";

/** What is kept of either model. */
export interface RecordSettings {
  /** Columns of a sketch, from 1; layers of no more columns than this get all of H. Default: 64. */
  rank?: number;
  /** Parts of the time axis with a sketch of their own, from 1 to all timesteps. Default: 1. */
  segments?: number;
  /** `sketch`: no ranges and histograms, which compensation does not need. Default: `all`. */
  statistics?: Statistics;
  /** Where the part of the time axis that is recorded begins. Default: 0. */
  from?: number;
  /** Where it ends. Default: the end of the time axis. */
  to?: number;
  /** How many workers; the bytes do not depend on it. Default: one for each processor. */
  workers?: number;
}

/** Settings that were checked, with their defaults. */
export type CheckedSettings = Pick<Recording, "rank" | "segments" | "statistics" | "workers">;

/**
 * The settings, with their defaults.
 *
 * @param timesteps T.
 * @param counts Others that have to be whole numbers from 1, by name.
 * @throws {BadInputError} One of them is no such number, or there are more segments than timesteps.
 */
export function checkSettings(
  { rank = 64, segments = 1, statistics = "all", workers }: RecordSettings,
  timesteps: number,
  counts: Readonly<Record<string, number>>,
): CheckedSettings {
  for (const [name, value] of Object.entries({ rank, segments, ...counts })) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new BadInputError(`Cannot record: ${name} is ${value}, must be a whole number from 1`);
  }
  if (segments > timesteps) {
    throw new BadInputError(
      `Cannot record: segments is ${segments}, must be at most ${timesteps}, one for each timestep`,
    );
  }
  return { rank, segments, statistics, ...workers !== undefined && { workers } };
}

/**
 * Points in the middle of equal parts of the time axis, or of a part of it.
 *
 * @param count How many: a whole number from 1.
 * @param end Where the time axis ends; it begins at 0.
 * @throws {BadInputError} The part is not one of the axis, or too small for so many points in F32.
 */
export function spreadTimesteps(
  { from = 0, to }: Pick<RecordSettings, "from" | "to">,
  count: number,
  end: number,
): number[] {
  const last = to ?? end;
  if (!(from >= 0 && last >= from && last <= end)) {
    throw new BadInputError(
      `Cannot record: from is ${from} and to is ${last}, must be 0 to ${end} and in this order`,
    );
  }
  const points = Array.from({ length: count }, (_, i) => from + (i + 0.5) * (last - from) / count);
  const different = new Set(points.map(Math.fround)).size;
  if (different < count) {
    throw new BadInputError(
      `Cannot record ${count} timesteps from ${from} to ${last}: only ${different} of them differ`,
    );
  }
  return points;
}
