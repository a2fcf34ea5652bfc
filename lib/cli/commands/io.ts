/** The world a command runs in, so that tests can hand it another one. */

/** Streams, clock and cancellation. */
export interface Io {
  /**
   * Writes to standard output; throws `BadInputError` if that fails. To be awaited where signals are listened to:
   * nobody may be reading, and they are heard all the same.
   */
  stdout: (text: string) => void | Promise<void>;
  /** Writes to standard error; never throws. */
  stderr: (text: string) => void;
  /** Width of the terminal behind standard error; `undefined` where it is none. */
  columns: number | undefined;
  /** Path or address of `cli.ts`, for the commands that are advised. */
  entry: string;
  /** Milliseconds on a monotonic clock. */
  now: () => number;
  /** Aborted by SIGINT, SIGTERM and SIGHUP, which are listened to from the moment this is asked for. */
  signal: AbortSignal;
}
