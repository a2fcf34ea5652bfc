/** Starts on one backend while the machine is asked for a better one. */

import type { Backend } from "./backend.ts";
import type { Job, ResultOf } from "./verbs.ts";

/**
 * Runs jobs on `first` at once. If `findBetter` comes back with a backend, everything is done again on
 * that one, from the first job on: which one did what then never depends on how fast the answer came.
 * A job that is done twice writes the same bytes twice.
 *
 * @param findBetter Called once, after the first jobs have been handed out; `undefined` to stay.
 */
export function whileProbing(
  first: Backend,
  findBetter: () => Promise<Backend | undefined>,
): Backend {
  let current = first;
  let isClosed = false;
  let answer: Promise<Backend | undefined> | undefined;
  async function ask(): Promise<Backend | undefined> {
    // A turn of the event loop later: asking for an adapter keeps this thread busy.
    await new Promise((resume) => setTimeout(resume, 0));
    if (isClosed) return undefined;
    const better = await findBetter();
    if (better === undefined) return undefined;
    if (isClosed) better.close();
    first.close();
    current = better;
    return better;
  }
  return {
    get name() {
      return current.name;
    },
    get description() {
      return current.description;
    },
    async run<J extends Job>(job: J): Promise<ResultOf<J>> {
      const early = first.run(job);
      early.catch(() => {}); // reported below, unless it does not count
      answer ??= ask();
      const better = await answer;
      return await (better === undefined ? early : better.run(job));
    },
    close() {
      isClosed = true;
      current.close();
    },
  };
}
