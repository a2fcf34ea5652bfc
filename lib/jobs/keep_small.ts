/** A pool that is spared small jobs: to hand one to a worker and to get it back takes longer than to do it. */

import { floatBytes } from "../safetensors/dtype.ts";
import type { Backend } from "./backend.ts";
import type { Job, ResultOf } from "./verbs.ts";

/** Bytes of a slice up to which a job is done on this thread. */
const SMALL_BYTES = 2 ** 14;

/**
 * Runs small jobs here, all others in a pool, which is started when the first of those comes.
 *
 * @param here What this thread computes with.
 */
export function keepSmall(here: Backend, startPool: () => Backend): Backend {
  let pool: Backend | undefined;
  let isClosed = false;
  return {
    name: here.name,
    get description() {
      return (pool ?? here).description;
    },
    run<J extends Job>(job: J): Promise<ResultOf<J>> {
      if (isSmall(job) || isClosed) return here.run(job);
      pool ??= startPool();
      return pool.run(job);
    },
    close() {
      isClosed = true;
      here.close();
      pool?.close();
    },
  };
}

/** Whether a job reads few weights, and does hardly more than to read them. */
function isSmall(job: Job): boolean {
  switch (job.verb) {
    case "quantizeRows":
      return job.inputs === undefined && isShort(job);
    case "check":
    case "countCodes":
    case "quantize":
      return isShort(job);
    default:
      return false;
  }
}

function isShort({ slice: { rows, columns, dtype } }: Extract<Job, { slice: unknown }>): boolean {
  return rows * columns * floatBytes(dtype) <= SMALL_BYTES;
}
