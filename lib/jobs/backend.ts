/**
 * What a run asks of a backend: jobs in, results out, both plain data, so that they can go to a worker;
 * weights never do. A backend knows files, bytes and blocks, and runs whatever verb a job names; it
 * never sees a tensor name, a time group or a score.
 */

import type { BackendName } from "../types.ts";
import type { Job, ResultOf } from "./verbs.ts";

/** One way to compute. */
export interface Backend {
  /** Which one it is. */
  readonly name: BackendName;
  /** What it runs on, in a few words, for the log. */
  readonly description: string;
  /** Runs a job; any number may be under way at once. */
  run<J extends Job>(job: J): Promise<ResultOf<J>>;
  /** Releases files, workers and devices; jobs under way are abandoned. */
  close(): void;
}
