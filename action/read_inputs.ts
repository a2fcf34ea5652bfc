/** Reads the inputs of the action, which action.yml maps to variables. */

import { BadInputError } from "../lib/base/errors.ts";
import { MISSING_POLICIES, type MissingPolicy } from "../lib/cli/flags.ts";
import { readChoice } from "../lib/base/read_choice.ts";

/** Reads an environment variable. */
export type ReadEnv = (name: string) => string | undefined;

/** Inputs that become flags of a run as they are. */
export const RUN_INPUTS = [
  "bit-width",
  "num-time-groups",
  "granularity",
  "group-size",
  "format",
  "modulation",
  "smoothness-threshold",
  "phase",
  "calibration",
] as const;

/** What the workflow asks for; an input that is not given is empty. */
export interface Inputs {
  /** Directory to quantize. */
  model: string;
  /** Directory to create. */
  output: string;
  /** Flags of the run: names without dashes, and values. */
  settings: [name: string, value: string][];
  /** A report that is there already. */
  report: string;
  /** The baseline. */
  baseline: string;
  /** Rules file. */
  rules: string;
  /** What to do where the baseline is missing. */
  missing: MissingPolicy;
  /** The page. */
  htmlReport: string;
  /** Name of the artifact. */
  artifact: string;
}

/** Reads one input; space around it is of no account, as with all actions. */
export function readInput(env: ReadEnv, name: string): string {
  return (env(`INPUT_${name.replaceAll("-", "_").toUpperCase()}`) ?? "").trim();
}

/**
 * Reads the inputs. What the command line checks is left to it, except where it would do so late.
 *
 * @throws {BadInputError} One is missing or has a value it may not have.
 */
export function readInputs(env: ReadEnv): Inputs {
  const read = (name: string) => readInput(env, name);
  const [model, report, baseline] = [read("model"), read("report"), read("baseline")];
  if (model === "" && report === "") {
    throw new BadInputError("Missing input model: name the directory to quantize, or give report");
  }
  if (baseline === "") throw new BadInputError('Input baseline is "", must name a file');
  readChoice("Input comment", read("comment"), ["true", "false"]);
  const settings = RUN_INPUTS.map((name): [string, string] => [name, read(name)]);
  return {
    model,
    output: read("output"),
    settings: settings.filter(([, value]) => value !== ""),
    report,
    baseline,
    rules: read("rules"),
    missing: readChoice("Input missing-baseline", read("missing-baseline"), MISSING_POLICIES),
    htmlReport: read("html-report"),
    artifact: read("artifact"),
  };
}
