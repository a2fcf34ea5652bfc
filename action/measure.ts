/** The step that does the work; it leaves everything that is to be made known in files. */

import { BadInputError } from "../lib/base/errors.ts";
import { adviseCommit } from "./accept_baseline.ts";
import { judgeRun } from "./judge_run.ts";
import type { Results } from "./outcome.ts";
import { placeFiles, type Places } from "./place_files.ts";
import { type ReadEnv, readInput, readInputs } from "./read_inputs.ts";
import { say } from "./say.ts";
import { readSurroundings } from "./surroundings.ts";
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
  const surroundings = readSurroundings(env);
  if (results.gate?.verdict === "created") {
    const { words, commands } = adviseCommit(results.baseline, surroundings);
    for (const line of [words, ...commands]) say(line);
  }
  say(`::${token}::`);
  await writeOutcome(results, places, surroundings);
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
