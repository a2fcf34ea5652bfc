/** A pool that is spared small jobs: to hand one to a worker and to get it back takes longer than to do it. */

import type { Backend } from "./backend.ts";
import { sliceBytes } from "./desk.ts";
import type { Job, ResultOf } from "./verbs.ts";

/** Bytes of a slice up to which a job is done on this thread. */
const SMALL_BYTES = 2 ** 14;

/**
 * Runs small jobs here, all others in a pool. Each of the two is opened when the first job for it comes: most models
 * have no small ones, and some have no others.
 *
 * @param description Of what this thread computes with.
 * @param openHere Opens that.
 */
export function keepSmall(
  description: string,
  openHere: () => Promise<Backend>,
  startPool: () => Backend,
): Backend {
  let here: Promise<Backend> | undefined;
  let pool: Backend | undefined;
  let isClosed = false;
  return {
    name: "wasm",
    get description() {
      return pool?.description ?? description;
    },
    async run<J extends Job>(job: J): Promise<ResultOf<J>> {
      if (isClosed) throw new Error("The backend is closed");
      if (isSmall(job)) return await (await (here ??= openHere())).run(job);
      return await (pool ??= startPool()).run(job);
    },
    close() {
      isClosed = true;
      here?.then((backend) => backend.close(), () => {});
      pool?.close();
    },
  };
}

/** Whether a job reads few weights, and does hardly more than to read them. */
function isSmall(job: Job): boolean {
  switch (job.verb) {
    case "quantizeRows":
      return job.inputs === undefined && sliceBytes(job.slice) <= SMALL_BYTES;
    case "check":
    case "countCodes":
    case "quantize":
      return sliceBytes(job.slice) <= SMALL_BYTES;
    default:
      return false;
  }
}
