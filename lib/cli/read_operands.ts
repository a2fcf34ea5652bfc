/** Reads what a command line names besides flags. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Command } from "./flags.ts";

/** How many operands a command takes and how that is said. */
interface Operands {
  min: number;
  max: number;
  /** The end of "Missing ...". */
  missing: string;
  /** The end of "Unexpected argument: ...". */
  surplus: string;
}

const OPERANDS: Record<Command, Operands> = {
  quantize: { min: 0, max: 0, missing: "", surplus: "give directories with --model and --output" },
  inspect: {
    min: 1,
    max: 1,
    missing: "the directory to inspect: isotherm inspect DIR",
    surplus: "inspect takes one directory",
  },
  verify: {
    min: 1,
    max: 1,
    missing: "the directory to verify: isotherm verify DIR",
    surplus: "verify takes one directory",
  },
  compare: {
    min: 2,
    max: Infinity,
    missing: "reports to compare: isotherm compare BASELINE CURRENT [CURRENT...]",
    surplus: "",
  },
  gate: {
    min: 2,
    max: 2,
    missing: "reports to judge: isotherm gate BASELINE CURRENT",
    surplus: "gate takes a baseline and a report",
  },
  baseline: {
    min: 1,
    max: 1,
    missing: "the report to take over: isotherm baseline update CURRENT --to FILE",
    surplus: "baseline update takes one report",
  },
  backends: { min: 0, max: 0, missing: "", surplus: "backends takes none" },
  history: {
    min: 1,
    max: 1,
    missing: "the file: isotherm history append REPORT, page HISTORY or badge HISTORY",
    surplus: "history takes one report or history",
  },
};

/**
 * Checks the operands of a command.
 *
 * @returns Them, without the `update` of `baseline update` and what `history` is to do.
 * @throws {BadInputError} One is missing, empty or too much.
 */
export function readOperands(command: Command, operands: readonly string[]): string[] {
  const named = command === "baseline"
    ? withoutAction(operands)
    : operands.slice(command === "history" ? 1 : 0);
  const { min, max, missing, surplus } = OPERANDS[command];
  const extra = named[max];
  if (extra !== undefined) {
    throw new BadInputError(`Unexpected argument ${quote(extra)}: ${surplus}`);
  }
  if (named.length < min || named.includes("")) throw new BadInputError(`Missing ${missing}`);
  return named;
}

function withoutAction([action, ...rest]: readonly string[]): string[] {
  if (action === "update") return rest;
  throw new BadInputError(
    action === undefined
      ? "Missing what to do with the baseline: isotherm baseline update CURRENT --to FILE"
      : `Unknown baseline action ${quote(action)}: expected update`,
  );
}
