/** Runs the commands of a target on a damaged document, and says what is wrong with how they ended. */

import { dirname, join } from "node:path";
import { namesIn } from "../directories.ts";
import { type Outcome, runMain } from "../run_cli.ts";
import type { Target } from "./targets.ts";

/** A damaged document. */
export interface FuzzCase {
  /** Which target it is of. */
  kind: string;
  /** Its bytes. */
  bytes: Uint8Array;
}

/** Exit codes that are an answer: done, bad input, regression, bad baseline. */
const ANSWERS = [0, 2, 3, 4];

/** What an error may not hold besides its line break. */
// deno-lint-ignore no-control-regex -- they are what must not be there
const UNSAFE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]/;

/** How commands are run. */
export type Runner = (argv: string[]) => Promise<Outcome>;

/** What came of a case. */
export interface Verdict {
  /** What is wrong; `undefined`: nothing. */
  problem: string | undefined;
  /** Commands that succeeded. */
  succeeded: number;
  /** Commands that were run. */
  executions: number;
}

/**
 * Checks one case in a directory of its own.
 *
 * @param root An empty directory; it is empty again afterwards.
 */
export async function checkCase(
  root: string,
  { path, files, commands }: Target,
  bytes: Uint8Array,
  run: Runner = (argv) => runMain(...argv),
): Promise<Verdict> {
  const verdict: Verdict = { problem: undefined, succeeded: 0, executions: 0 };
  const check = async (command: string[]): Promise<boolean> => {
    const outcome = await run(command.map((arg) => arg.replace("ROOT", root)));
    verdict.executions++;
    if (outcome.code === 0) verdict.succeeded++;
    const problem = judge(outcome);
    if (problem !== undefined) verdict.problem ??= `${command.join(" ")}: ${problem}`;
    return outcome.code === 0;
  };
  try {
    for (const [name, content] of Object.entries({ ...files, [path]: bytes })) {
      Deno.mkdirSync(dirname(join(root, name)), { recursive: true });
      if (typeof content === "string") Deno.writeTextFileSync(join(root, name), content);
      else Deno.writeFileSync(join(root, name), content);
    }
    for (const command of commands) {
      const before = namesIn(root);
      const succeeded = await check(command);
      if (succeeded && command.includes("ROOT/out") && command[0] !== "verify") {
        if (command[0] === "inspect") continue;
        if (!await check(["verify", "ROOT/out", "--against", "ROOT/m"])) {
          verdict.problem ??= "verify refuses what the run wrote";
        }
      }
      const left = namesIn(root);
      const hidden = left.filter((name) => name.startsWith("."));
      if (!succeeded && left.length !== before.length) {
        verdict.problem ??= `${command.join(" ")}: it left ${left.join(" ")}`;
      }
      if (hidden.length > 0) verdict.problem ??= `it left ${hidden.join(" ")}`;
    }
  } finally {
    for (const name of namesIn(root)) Deno.removeSync(join(root, name), { recursive: true });
  }
  return verdict;
}

/** What is wrong with how a command ended. */
function judge({ code, stderr, stdout }: Outcome): string | undefined {
  if (!ANSWERS.includes(code)) return `exit code ${code}: ${stderr.slice(0, 500)}`;
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
  const wanted = code === 2 || code === 4 ? 1 : 0;
  if (errors.length !== wanted) return `exit code ${code} with ${errors.length} lines of error`;
  if (wanted === 1 && !stderr.endsWith(`${errors[0]}\n`)) return "text behind the error";
  if (UNSAFE.test(stderr) || UNSAFE.test(stdout)) return "control characters in what it says";
  if (/os error|\bat file:|undefined|\[object/.test(errors.join(""))) return errors.join("");
  return undefined;
}
