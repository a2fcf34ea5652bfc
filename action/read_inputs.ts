/** Reads the inputs of the action, which action.yml maps to variables. */

import { BadInputError } from "../lib/base/errors.ts";
import { MISSING_POLICIES, type MissingPolicy } from "../lib/cli/flags.ts";
import { readChoice } from "../lib/base/read_choice.ts";

/** Reads an environment variable. */
export type ReadEnv = (name: string) => string | undefined;

/** How an input becomes flags: one with its value, one for each of its lines, or a switch where it is true. */
export type FlagKind = "value" | "lines" | "switch";

/** Inputs that become flags of a run, which have their names. */
export const RUN_INPUTS: Readonly<Record<string, FlagKind>> = {
  "bit-width": "value",
  "num-time-groups": "value",
  "granularity": "value",
  "group-size": "value",
  "format": "value",
  "symmetric": "switch",
  "modulation": "value",
  "component": "lines",
  "ignore": "lines",
  "no-default-ignore": "switch",
  "strict": "switch",
  "smoothness-threshold": "value",
  "phase": "value",
  "smoothing-window": "value",
  "smoothing-method": "value",
  "markov-weight": "value",
  "calibration": "value",
  "timestep-weights": "value",
  "activation-bits": "value",
  "activation-range": "value",
  "grouping": "value",
  "outlier-inputs": "value",
  "backend": "value",
};

/** Inputs that become flags of the gate, which have their names. */
export const GATE_INPUTS: Readonly<Record<string, FlagKind>> = {
  "max-score-drop": "value",
  "max-cosine-drop": "value",
  "max-sqnr-drop": "value",
  "max-layer-drop": "value",
  "max-size-growth": "value",
  "max-new-violations": "value",
  "allow-vanished-layers": "switch",
  "rules": "value",
};

/** What the workflow asks for; an input that is not given is empty. */
export interface Inputs {
  /** Directory to quantize. */
  model: string;
  /** Directory to create. */
  output: string;
  /** Flags of the run, each bound to its value: `--bit-width=4`. */
  runFlags: string[];
  /** Flags of the gate. */
  gateFlags: string[];
  /** A report that is there already. */
  report: string;
  /** The baseline. */
  baseline: string;
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
 * Reads the inputs. What the command line checks is left to it.
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
  isTrue("comment", read("comment"));
  return {
    model,
    output: read("output"),
    runFlags: listFlags(RUN_INPUTS, read),
    gateFlags: listFlags(GATE_INPUTS, read),
    report,
    baseline,
    missing: readChoice("Input missing-baseline", read("missing-baseline"), MISSING_POLICIES),
    htmlReport: read("html-report"),
    artifact: read("artifact"),
  };
}

function listFlags(
  inputs: Readonly<Record<string, FlagKind>>,
  read: (name: string) => string,
): string[] {
  return Object.entries(inputs).flatMap(([name, kind]) => {
    const text = read(name);
    if (kind === "switch") return isTrue(name, text) ? [`--${name}`] : [];
    const values = kind === "lines" ? text.split("\n").map((line) => line.trim()) : [text];
    return values.filter((value) => value !== "").map((value) => `--${name}=${value}`);
  });
}

function isTrue(name: string, text: string): boolean {
  return readChoice(`Input ${name}`, text, ["true", "false"]) === "true";
}
