/** Observes denoisers on all processors. */

import type { RunModel } from "../forward/load_candidate.ts";
import { startWorkers } from "../forward/start_workers.ts";
import { INPUTS, type Inputs, type Observation } from "./observe.ts";
import type { Task } from "./observe_worker.ts";

/** Workers that stay, so that only the first model waits for them to load and to warm up. */
export interface Observers {
  /**
   * Observes a model, after those that were asked for before.
   *
   * @throws {BadInputError} The weights or schedules are not those of a digits DiT.
   */
  observe(model: RunModel, inputs?: Inputs): Promise<Observation>;
  /** Stops the workers; until then they keep the process alive. */
  close(): void;
}

/**
 * Starts workers.
 *
 * @param count How many; observations do not depend on it.
 */
export function startObservers(count?: number): Observers {
  const url = new URL("./observe_worker.ts", import.meta.url);
  const workers = startWorkers<Task, Observation>(url, "observe the denoiser", count);
  return {
    observe: async (model, inputs = INPUTS) => joinShares(await workers.run({ model, inputs })),
    close: workers.close,
  };
}

function joinShares(shares: readonly Observation[]): Observation {
  const eps = new Float32Array(shares.reduce((sum, { eps }) => sum + eps.length, 0));
  const samples = new Uint8Array(shares.reduce((sum, { samples }) => sum + samples.length, 0));
  let [epsAt, samplesAt] = [0, 0];
  for (const share of shares) {
    eps.set(share.eps, epsAt);
    samples.set(share.samples, samplesAt);
    epsAt += share.eps.length;
    samplesAt += share.samples.length;
  }
  return { eps, samples };
}
