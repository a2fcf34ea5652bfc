/** Draws cases and checks them, one after the other, telling of each before it begins. */

import { createRandom, mutate, pick } from "./mutate.ts";
import { checkCase, type FuzzCase, type Verdict } from "./check_case.ts";
import { makeTargets } from "./targets.ts";

/** What a worker is started with. */
export interface FuzzOrder {
  /** Seed of all that is drawn. */
  seed: number;
  /** An empty directory. */
  root: string;
}

/** What it tells. */
export type FuzzNews =
  | { news: "begun"; fuzzCase: FuzzCase }
  | { news: "done"; fuzzCase: FuzzCase; verdict: Verdict };

self.onmessage = async ({ data: { seed, root } }: MessageEvent<FuzzOrder>) => {
  const random = createRandom(seed);
  const targets = [...await makeTargets()];
  for (;;) {
    const [kind, target] = pick(random, targets);
    const fuzzCase = { kind, bytes: mutate(random, target.seed, target.layout) };
    self.postMessage({ news: "begun", fuzzCase } satisfies FuzzNews);
    const verdict = await checkCase(root, target, fuzzCase.bytes);
    self.postMessage({ news: "done", fuzzCase, verdict } satisfies FuzzNews);
    // So that this thread can be told to end.
    await new Promise((resume) => setTimeout(resume, 0));
  }
};
