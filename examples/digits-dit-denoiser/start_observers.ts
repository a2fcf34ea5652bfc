/** Observes denoisers on all processors. */

import type { Weights } from "../forward/load_weights.ts";
import { startWorkers } from "../forward/start_workers.ts";
import { INPUTS, type Inputs, type Observation } from "./observe.ts";
import type { Task } from "./observe_worker.ts";

/** Workers that stay, so that only the first model waits for them to load and to warm up. */
export interface Observers {
  /**
   * Observes a model, after those that were asked for before.
   *
   * @throws {BadInputError} The weights are not those of a digits DiT.
   */
  observe(weights: Weights, inputs?: Inputs): Promise<Observation>;
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
    observe: async (weights, inputs = INPUTS) => joinShares(await workers.run({ weights, inputs })),
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
