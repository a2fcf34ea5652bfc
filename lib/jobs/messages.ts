/** What passes between a pool and its workers. Plain data; no tensor among it. */

import type { Job, ResultOf } from "./verbs.ts";

/** To a worker. */
export interface Request {
  id: number;
  job: Job;
}

/** From a worker. */
export type Reply =
  /** Source bytes worked through since the last time. */
  | { kind: "progress"; bytes: number }
  | { kind: "done"; id: number; result: ResultOf<Job> }
  /** `isBadInput`: the message is for the user; else it is a bug's. */
  | { kind: "failed"; id: number; message: string; isBadInput: boolean };
