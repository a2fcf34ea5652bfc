/** Backends that compute on this thread: the reference, and wasm where a pool would not pay. */

import type { Backend, OnBytes } from "./backend.ts";
import type { BackendName } from "../types.ts";
import type { Kernels } from "../compute/kernels.ts";
import { createRunner } from "./run_slice.ts";

/** Makes a backend of kernels; its jobs run one after the other. */
export function createInline(
  name: BackendName,
  description: string,
  kernels: Kernels,
  onBytes: OnBytes,
): Backend {
  const runner = createRunner(kernels, onBytes);
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  /** Starts a job when the one before has ended; the first that fails ends the run. */
  function enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = last.then(() => {
      if (isClosed) throw new Error("The backend is closed");
      return job();
    });
    last = result.catch(() => {});
    return result;
  }
  return {
    name,
    description,
    measure: (slice) => enqueue(() => runner.measure(slice)),
    encode: (slice, params) => enqueue(() => runner.encode(slice, params)),
    quantize: (slice) => enqueue(() => runner.quantize(slice)),
    reencode: (...args) => enqueue(() => runner.reencode(...args)),
    rate: (slice) => enqueue(() => runner.rate(slice)),
    copy: (job) => enqueue(() => runner.copy(job)),
    close: () => {
      isClosed = true;
      runner.close();
    },
  };
}
