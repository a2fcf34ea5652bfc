/** The step that makes a run known: outputs, job summary, annotations. */

import * as core from "npm:@actions/core@3.0.1";
import type { Outcome } from "./outcome.ts";
import { placeFiles } from "./place_files.ts";
import { type ReadEnv, readInput } from "./read_inputs.ts";
import { writeOutcome } from "./write_outcome.ts";

/**
 * Publishes what `measure` left.
 *
 * @param directory The files of the run.
 * @param code How `measure` ended.
 */
export async function publish(directory: string, code: number, env: ReadEnv): Promise<void> {
  const places = placeFiles(directory);
  const { outputs, annotations } = readOutcome(places.outcome) ??
    // It was killed, most likely for its memory.
    await writeOutcome(
      {
        code: 1,
        error: `Isotherm was stopped: exit code ${code}`,
        baseline: readInput(env, "baseline"),
      },
      places,
      { artifact: readInput(env, "artifact"), workspace: "." },
    );
  for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
  await summarize(Deno.readTextFileSync(places.summary));
  for (const { level, message, file, line } of annotations) {
    const place = { title: "Isotherm", ...file && { file }, ...line && { startLine: line } };
    core[level](message, place);
  }
}

function readOutcome(path: string): Outcome | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as Outcome;
  } catch {
    return undefined;
  }
}

/** Writes the job summary; a runner without one is no reason to fail. */
async function summarize(markdown: string): Promise<void> {
  try {
    await core.summary.addRaw(markdown).write();
  } catch (error) {
    core.info(`No job summary was written: ${error instanceof Error ? error.message : error}`);
  }
}
