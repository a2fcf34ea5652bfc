/** The step that does the work; it leaves everything that is to be made known in files. */

import { BadInputError } from "../lib/base/errors.ts";
import { judgeRun } from "./judge_run.ts";
import type { Results } from "./outcome.ts";
import { placeFiles, type Places } from "./place_files.ts";
import { type ReadEnv, readInput, readInputs } from "./read_inputs.ts";
import { say } from "./say.ts";
import { writeOutcome } from "./write_outcome.ts";

/**
 * Quantizes and judges.
 *
 * @param directory Gets the files of the run; `report` is there.
 * @returns The exit code of the command line.
 */
export async function measure(directory: string, env: ReadEnv): Promise<number> {
  const places = placeFiles(directory);
  // What a model or a path is called must not be taken for a command to the runner.
  const token = crypto.randomUUID();
  say(`::stop-commands::${token}`);
  const results = await tryToJudge(env, places);
  say(`::${token}::`);
  await writeOutcome(results, places, {
    run: runAddress(env),
    artifact: readInput(env, "artifact"),
    workspace: env("GITHUB_WORKSPACE") ?? ".",
  });
  return results.code;
}

async function tryToJudge(env: ReadEnv, places: Places): Promise<Results> {
  try {
    return await judgeRun(readInputs(env), places);
  } catch (error) {
    const known = error instanceof BadInputError;
    const message = known ? error.message : `This is a bug in the action: ${String(error)}`;
    say(`error: ${message}`);
    return { code: known ? 2 : 1, error: message, baseline: readInput(env, "baseline") };
  }
}

function runAddress(env: ReadEnv): string | undefined {
  const [server, repository, run] = ["SERVER_URL", "REPOSITORY", "RUN_ID"].map((name) =>
    env(`GITHUB_${name}`)
  );
  if (!server || !repository || !run) return undefined;
  return `${server}/${repository}/actions/runs/${run}`;
}
