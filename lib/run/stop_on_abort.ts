/** Lets a signal end a run that does not end by itself. */

import { InterruptedError } from "../base/errors.ts";

/** Stops at once where a signal was heard. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("Interrupted: nothing was written");
}

/** Turns of the event loop until a signal is heard that came while this thread was busy. */
const TURNS = 3;

/**
 * Lets a signal be heard that came during work that kept this thread, and stops where one was heard. What follows
 * at once can rely on it.
 *
 * @throws {InterruptedError} The signal was heard.
 */
export async function hearSignals(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return;
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resume) => setTimeout(resume, 0));
  refuseAborted(signal);
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

/** Milliseconds that work is given to end after its files and workers have been taken from it. */
const SETTLE_MS = 500;

/**
 * Waits for work that was given up to end, so that it does not write into what is about to be removed;
 * not for ever, since it may hang.
 */
export async function settle(work: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, SETTLE_MS);
  await Promise.race([work.then(() => {}, () => {}), late]);
  clearTimeout(timer);
}
