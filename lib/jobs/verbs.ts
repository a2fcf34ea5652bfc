/** Every kind of job, each in a file of its own: a new one is added here and nowhere else. */

import type { Desk } from "./desk.ts";

/** Loaded when the first job of its kind comes, since a worker's start is time that a run waits. */
const VERBS = {
  assess: async () => (await import("./encode_slice.ts")).assessBands,
  check: async () => (await import("./check_slice.ts")).checkSlice,
  compare: async () => (await import("./compare_bytes.ts")).compareBytes,
  compareRows: async () => (await import("./rewrite_rows.ts")).compareRows,
  copy: async () => (await import("./copy_bytes.ts")).copyBytes,
  countCodes: async () => (await import("./count_codes.ts")).countCodes,
  encode: async () => (await import("./encode_slice.ts")).encodeBands,
  measure: async () => (await import("./measure_slice.ts")).measureSlice,
  optimize: async () => (await import("./optimize_slice.ts")).optimizeSlice,
  planInputs: async () => (await import("./plan_inputs.ts")).planInputs,
  quantize: async () => (await import("./quantize_slice.ts")).quantizeBands,
  quantizeRows: async () => (await import("./quantize_rows.ts")).quantizeRows,
  quantizeInputs: async () => (await import("./quantize_inputs.ts")).quantizeInputs,
  rateGroups: async () => (await import("./rate_groups.ts")).rateGroups,
  rateRatios: async () => (await import("./rate_ratios.ts")).rateRatios,
  reencode: async () => (await import("./reencode_slice.ts")).reencodeSlice,
  rewriteRows: async () => (await import("./rewrite_rows.ts")).rewriteRows,
};

type Verbs = { [V in keyof typeof VERBS]: Awaited<ReturnType<typeof VERBS[V]>> };

/** A piece of work, as plain data. */
export type Job = { [V in keyof Verbs]: Parameters<Verbs[V]>[0] }[keyof Verbs];

type Results = { [V in keyof Verbs]: Awaited<ReturnType<Verbs[V]>> };

/** What a job gives back, as plain data. */
export type ResultOf<J extends Job> = Results[J["verb"]];

type Run = (job: Job, desk: Desk) => Promise<unknown>;

/** What was loaded: an import takes longer than a small job, even of what is there already. */
const loaded: { [V in Job["verb"]]?: Run } = {};

/** Runs a job on this thread. */
export async function runJob<J extends Job>(job: J, desk: Desk): Promise<ResultOf<J>> {
  // The compiler does not see that a verb's function takes the job of that verb.
  const run = loaded[job.verb] ??= await VERBS[job.verb]() as unknown as Run;
  return await run(job, desk) as ResultOf<J>;
}
