/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * A worker of the pool whose calls to the file system are counted with those of all other threads, and of
 * which one fails. Started in place of `lib/jobs/worker.ts` by `whileFailing`.
 */

import { failOne, type Fault, interceptCalls } from "./fail_calls.ts";

self.onmessage = async ({ data }: MessageEvent<Fault>) => {
  const waiting: unknown[] = [];
  // What comes while the worker's own module is loaded is for that.
  self.onmessage = ({ data }) => waiting.push(data);
  interceptCalls(failOne(data, () => {}));
  await import("../lib/jobs/worker.ts");
  for (const data of waiting) self.dispatchEvent(new MessageEvent("message", { data }));
};
