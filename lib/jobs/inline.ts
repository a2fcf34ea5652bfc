/** Backends that compute on this thread: the reference, and wasm where a pool would not pay. */

import type { Kernels } from "../compute/kernels.ts";
import type { BackendName } from "../types.ts";
import type { Backend } from "./backend.ts";
import type { OnBytes } from "./desk.ts";
import { openFiles } from "./open_files.ts";
import { type Job, type ResultOf, runJob } from "./verbs.ts";

/**
 * Makes a backend of kernels; its jobs run one after the other.
 *
 * @param kernels Nobody else's: a job leaves its weights in them.
 */
export function createInline(
  name: BackendName,
  description: string,
  kernels: Kernels,
  onBytes: OnBytes,
): Backend {
  const desk = { kernels, files: openFiles(false), onBytes };
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  return {
    name,
    description,
    /** Starts a job when the one before has ended. */
    run<J extends Job>(job: J): Promise<ResultOf<J>> {
      const result = last.then(() => {
        if (isClosed) throw new Error("The backend is closed");
        return runJob(job, desk);
      });
      last = result.catch(() => {});
      return result;
    },
    close() {
      isClosed = true;
      desk.files.close();
    },
  };
}
