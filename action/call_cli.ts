/** Calls the command line in this process: no subprocess, no permission to start one. */

import { main } from "../cli.ts";

/** How a call ended. */
export interface Call {
  /** Exit code. */
  code: number;
  /** Standard output. */
  stdout: string;
  /** The line that says what went wrong, or nothing. */
  error: string | undefined;
}

/**
 * Calls the command line.
 *
 * @param log Gets what goes to standard error, line by line.
 */
export async function callCli(argv: readonly string[], log: (line: string) => void): Promise<Call> {
  let [stdout, stderr] = ["", ""];
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  try {
    const code = await main(argv, {
      stdout: (text) => void (stdout += text),
      stderr: (text) => {
        stderr += text;
        log(text.replace(/\n$/, ""));
      },
      // What a reader of the log would have: a checkout of the repository of the action.
      entry: "ISOTHERM/cli.ts",
      columns: undefined,
      now: () => performance.now(),
      signal: stop.signal,
    });
    return { code, stdout, error: /^error: (.*)$/m.exec(stderr)?.[1] };
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
}
