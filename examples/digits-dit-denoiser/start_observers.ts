/** Observes denoisers on all processors. */

import { BadInputError } from "../../lib/base/errors.ts";
import type { Weights } from "./load_weights.ts";
import { INPUTS, type Inputs, type Observation } from "./observe.ts";
import type { Answer, Task } from "./observe_worker.ts";

/** More workers than this would each have too little to do. */
const MAX_WORKERS = 8;

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
export function startObservers(
  count: number = Math.min(navigator.hardwareConcurrency, MAX_WORKERS),
): Observers {
  const url = new URL("./observe_worker.ts", import.meta.url);
  const workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
  const failure = new Promise<never>((_resolve, reject) => {
    for (const worker of workers) {
      worker.onerror = (event) => {
        // Without this the event would end the process.
        event.preventDefault();
        reject(new Error(`Cannot observe the denoiser: ${event.message}`));
      };
    }
  });
  // Those who wait will hear of it; so will those who ask later.
  failure.catch(() => {});
  const observeNow = async (weights: Weights, inputs: Inputs): Promise<Observation> => {
    const answers = workers.map((worker, share) =>
      ask(worker, { weights, inputs, share, shares: count })
    );
    // All of them, also where the first is a refusal: no answer may be left for the next model.
    return joinShares((await Promise.race([Promise.all(answers), failure])).map(refuseError));
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    observe(weights, inputs = INPUTS) {
      const next = last.then(() => observeNow(weights, inputs));
      last = next.catch(() => {});
      return next;
    },
    close() {
      for (const worker of workers) worker.terminate();
    },
  };
}

function ask(worker: Worker, task: Task): Promise<Answer> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
    worker.postMessage(task);
  });
}

function refuseError(answer: Answer): Observation {
  if (!("error" in answer)) return answer;
  throw answer.badInput ? new BadInputError(answer.error) : new Error(answer.error);
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
