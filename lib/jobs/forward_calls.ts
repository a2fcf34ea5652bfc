/** A backend that stands before others: each call becomes a job for whichever one takes it. */

import type { Backend } from "./backend.ts";

/**
 * Makes a backend out of the way its calls are handed on.
 *
 * @param current The backend to be named.
 * @param attempt Hands a job to a backend, or to one after the other.
 * @param close Closes what is behind.
 */
export function forwardCalls(
  current: () => Backend,
  attempt: <T>(job: (backend: Backend) => Promise<T>) => Promise<T>,
  close: () => void,
): Backend {
  return {
    get name() {
      return current().name;
    },
    get description() {
      return current().description;
    },
    measure: (slice) => attempt((backend) => backend.measure(slice)),
    encode: (slice, params) => attempt((backend) => backend.encode(slice, params)),
    quantize: (slice) => attempt((backend) => backend.quantize(slice)),
    reencode: (...args) => attempt((backend) => backend.reencode(...args)),
    rate: (slice) => attempt((backend) => backend.rate(slice)),
    copy: (job) => attempt((backend) => backend.copy(job)),
    close,
  };
}
