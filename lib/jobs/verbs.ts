/** Every kind of job, each in a file of its own: a new one is added here and nowhere else. */

import { checkSlice } from "./check_slice.ts";
import { compareBytes } from "./compare_bytes.ts";
import { copyBytes } from "./copy_bytes.ts";
import type { Desk } from "./desk.ts";
import { encodeSlice } from "./encode_slice.ts";
import { measureSlice } from "./measure_slice.ts";
import { quantizeSlice } from "./quantize_slice.ts";
import { rateSlice } from "./rate_slice.ts";
import { reencodeSlice } from "./reencode_slice.ts";
import { writeBytes } from "./write_bytes.ts";

const VERBS = {
  check: checkSlice,
  compare: compareBytes,
  copy: copyBytes,
  encode: encodeSlice,
  measure: measureSlice,
  quantize: quantizeSlice,
  rate: rateSlice,
  reencode: reencodeSlice,
  write: writeBytes,
};

type Verbs = typeof VERBS;

/** A piece of work, as plain data. */
export type Job = { [V in keyof Verbs]: Parameters<Verbs[V]>[0] }[keyof Verbs];

type Results = { [V in keyof Verbs]: Awaited<ReturnType<Verbs[V]>> };

/** What a job gives back, as plain data. */
export type ResultOf<J extends Job> = Results[J["verb"]];

/** Runs a job on this thread. */
export function runJob<J extends Job>(job: J, desk: Desk): Promise<ResultOf<J>> {
  // The compiler does not see that a verb's function takes the job of that verb.
  const run = VERBS[job.verb] as unknown as (job: J, desk: Desk) => Promise<ResultOf<J>>;
  return run(job, desk);
}
