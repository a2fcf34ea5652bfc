/** Runs the command line in this process, and as a process of its own. */

import { main } from "../cli.ts";

/** What a run printed and how it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Calls `main` with streams that are kept. */
export async function runMain(...argv: string[]): Promise<Outcome> {
  const outcome = { code: 0, stdout: "", stderr: "" };
  outcome.code = await main(argv, {
    stdout: (text) => outcome.stdout += text,
    stderr: (text) => outcome.stderr += text,
    columns: undefined,
    now: () => performance.now(),
    signal: new AbortController().signal,
  });
  return outcome;
}

/** Path of the command line's file. */
export const CLI = new URL("../cli.ts", import.meta.url).pathname;

/** Starts the command line as a process with the permissions a user would give. */
export function spawnCli(argv: string[], options: Deno.CommandOptions = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
    args: ["run", "--no-prompt", "--allow-read", "--allow-write", CLI, ...argv],
  }).spawn();
}

/** Runs the command line as a process to its end. */
export async function runProcess(...argv: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await spawnCli(argv).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
