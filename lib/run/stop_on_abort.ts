/** Lets a signal end a run that does not end by itself. */

import { InterruptedError } from "../base/errors.ts";

/** Stops at once where a signal was heard. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("Interrupted: nothing was written");
}

/**
 * Waits for work, but no longer than until a signal is heard: the work may hang in a worker or on a disk
 * and never answer. What it comes to afterwards is of no account.
 *
 * @throws {InterruptedError} The signal was heard first.
 */
export async function stopOnAbort<T>(
  signal: AbortSignal | undefined,
  work: Promise<T>,
): Promise<T> {
  if (signal === undefined) return await work;
  work.catch(() => {});
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted.then(() => refuseAborted(signal) as never)]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
