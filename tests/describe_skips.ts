/** Says how many tests were skipped, and what would let them run. */

import { countNouns } from "../lib/base/text.ts";

/**
 * Reads the results of `deno test --junit-path`.
 *
 * @param missing What the machine lacks, a sentence each.
 * @returns Lines to print; none where nothing was skipped.
 */
export function describeSkips(results: string, missing: readonly string[]): string[] {
  // A test that a filter left out is "skipped" as well, but has no time.
  const skipped = results.match(/<testcase [^>]* time="[^>]*>\s*<skipped\/>/g)?.length ?? 0;
  if (skipped === 0) return [];
  return [`${countNouns(skipped, "test")} skipped.`, ...missing.map((advice) => `${advice}.`)];
}
