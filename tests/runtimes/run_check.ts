/** Has a runtime load checkpoints and tell what it found in them. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The ways of loading, each a script of this folder. */
export type Check = "sdnq_diffusers" | "transformers" | "gguf" | "comfy";

/** What to load and what to compare it with; see compare.py. */
export interface Job {
  /** Directory of the original model; without one only the weights of a GGUF file are compared. */
  model?: string;
  /** Directory or file that was written. */
  checkpoint: string;
  /** The weights it should decode to. */
  decoded: string;
  /** A pipeline to load it in. */
  pipeline?: string;
  /** The dtype that the runtime rounds weights to. */
  decodes_to?: string;
}

/** What a runtime found. */
export interface Result {
  /** Why it refused the checkpoint; nothing else is there then. */
  error?: string;
  /** Names of the model that the checkpoint lacks. */
  missing: string[];
  /** Names of the checkpoint that the model lacks. */
  unexpected: string[];
  /** Quantized weights compared. */
  weights: number;
  /** Largest difference of a weight, as a share of the largest expected in its layer. */
  weight_error: number;
  /** The same of the layers that compute, where the runtime decodes less exactly than the format would. */
  layer_error?: number;
  /** Largest difference of a prediction, as a share of the largest expected; none for a file of tensors. */
  forward_error?: number;
  /** Block types of a GGUF file. */
  types?: string[];
}

/** The Python to run: run_tests.ts sees to it that it has the packages. */
function python(): string {
  const path = Deno.env.get("ISOTHERM_PYTHON");
  if (!path) throw new Error("ISOTHERM_PYTHON is not set: run deno task test:runtimes");
  return path;
}

/** Runs a script of this folder to its end. */
export async function runPython(script: string, ...args: string[]): Promise<void> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { success, stderr } = await new Deno.Command(python(), {
    args: [path, ...args],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${script} failed: ${new TextDecoder().decode(stderr)}`);
}

/**
 * Runs all jobs of a way of loading in one process, since importing torch takes longer than most of them.
 *
 * @param directory Where to leave what is said and heard.
 * @returns A result for each job, in the same order.
 */
export async function runCheck(check: Check, jobs: Job[], directory: string): Promise<Result[]> {
  const [cases, results] = ["cases", "results"].map((name) =>
    join(directory, `${check}-${name}.json`)
  );
  Deno.writeTextFileSync(cases!, JSON.stringify(jobs));
  await runPython(`check_${check}.py`, cases!, results!);
  return JSON.parse(Deno.readTextFileSync(results!)) as Result[];
}
