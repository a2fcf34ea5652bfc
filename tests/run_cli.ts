/** Runs the command line in this process, and as a process of its own. */

import { fileURLToPath } from "node:url";
import { type Io, main } from "../cli.ts";

/** What a run printed and how it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Calls `main` with streams that are kept. */
export function runMain(...argv: string[]): Promise<Outcome> {
  return runIn({}, ...argv);
}

/** Calls `main` in a world of which parts are replaced; what a replaced stream gets is not kept. */
export async function runIn(world: Partial<Io>, ...argv: string[]): Promise<Outcome> {
  const outcome = { code: 0, stdout: "", stderr: "" };
  outcome.code = await main(argv, {
    stdout: (text) => void (outcome.stdout += text),
    stderr: (text) => outcome.stderr += text,
    entry: "cli.ts",
    columns: undefined,
    now: () => performance.now(),
    signal: new AbortController().signal,
    ...world,
  });
  return outcome;
}

/** Path of the command line's file. */
export const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));

/** How a process is started. */
export interface SpawnOptions {
  /** Working directory. */
  cwd?: string;
  /** Permission flags; by default those a user would give. */
  permissions?: string[];
}

/** The command that starts the command line: a program and its arguments. */
export function cliCommand(
  argv: readonly string[],
  permissions: readonly string[] = ["--allow-read", "--allow-write"],
): [string, ...string[]] {
  return [Deno.execPath(), "run", "--no-prompt", ...permissions, CLI, ...argv];
}

/** Starts the command line as a process. */
export function spawnCli(argv: string[], options: SpawnOptions = {}): Deno.ChildProcess {
  const { permissions, ...rest } = options;
  const [program, ...args] = cliCommand(argv, permissions);
  return new Deno.Command(program, {
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // Mesa's drivers complain on standard error where it is not set.
    env: { XDG_RUNTIME_DIR: "/tmp" },
    ...rest,
    args,
  }).spawn();
}

/** Waits for a process and reads what it printed. */
export async function outcomeOf(child: Deno.ChildProcess): Promise<Outcome> {
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Runs the command line as a process to its end. */
export function runProcess(...argv: string[]): Promise<Outcome> {
  return outcomeOf(spawnCli(argv));
}
