/** What is kept of what a model is fed. */

import { BadInputError } from "../../lib/base/errors.ts";

/** What is kept of either model. */
export interface RecordSettings {
  /** Columns of a sketch, from 1; layers of no more columns than this get all of H. Default: 64. */
  rank?: number;
  /** Parts of the time axis with a sketch of their own, from 1 to all timesteps. Default: 1. */
  segments?: number;
  /** How many workers; the bytes do not depend on it. Default: one for each processor. */
  workers?: number;
}

/**
 * The settings, with their defaults.
 *
 * @param timesteps T.
 * @param counts Others that have to be whole numbers from 1, by name.
 * @throws {BadInputError} One of them is no such number, or there are more segments than timesteps.
 */
export function checkSettings(
  { rank = 64, segments = 1, workers }: RecordSettings,
  timesteps: number,
  counts: Readonly<Record<string, number>>,
): { rank: number; segments: number; workers: number | undefined } {
  for (const [name, value] of Object.entries({ rank, segments, ...counts })) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new BadInputError(`Cannot record: ${name} is ${value}, must be a whole number from 1`);
  }
  if (segments > timesteps) {
    throw new BadInputError(
      `Cannot record: segments is ${segments}, must be at most ${timesteps}, one for each timestep`,
    );
  }
  return { rank, segments, workers };
}
