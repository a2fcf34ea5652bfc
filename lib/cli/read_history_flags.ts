/** Reads what `history` is to do; each of its actions takes flags of its own. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { checkValue } from "../base/value_rules.ts";
import { COMMIT } from "../history/commit.ts";
import { HISTORY_ACTIONS, type HistoryAction } from "./flags.ts";
import type { Values } from "./read_settings.ts";

/** What `history` is to do. */
export interface HistoryFlags {
  /** Its action; `undefined` for any other command. */
  action: HistoryAction | undefined;
  /** Hash of the commit that was measured. */
  commit: string | undefined;
  /** Report or baseline that the gate judges by. */
  baseline: string | undefined;
}

/** The flags of an action: the one it cannot do without first. */
const TAKEN: Record<HistoryAction, [needed: string, ...others: string[]]> = {
  append: ["to", "commit", "baseline", "json"],
  page: ["html-report", "overwrite"],
  badge: ["to"],
};

/**
 * Reads the flags of `history`.
 *
 * @param operands Of the command line, what is to be done first; none where that is another command or its help.
 * @throws {BadInputError} The action is none, a flag is missing or not one of its own, or the commit is no hash.
 */
export function readHistoryFlags(operands: readonly string[], values: Values): HistoryFlags {
  const [word] = operands;
  if (word === undefined) return { action: undefined, commit: undefined, baseline: undefined };
  const action = HISTORY_ACTIONS.find((one) => one === word);
  if (action === undefined) {
    throw new BadInputError(
      `Unknown history action ${quote(word)}: expected ${HISTORY_ACTIONS.join(", ")}`,
    );
  }
  const [needed] = TAKEN[action];
  const surplus = [...values.keys()].find((name) => !TAKEN[action].includes(name));
  if (surplus !== undefined) {
    throw new BadInputError(
      `--${surplus} is no flag of history ${action}: see isotherm history --help`,
    );
  }
  if (!values.has(needed)) {
    throw new BadInputError(`Missing --${needed} FILE: see isotherm history --help`);
  }
  const commit = values.get("commit")?.[0];
  if (commit !== undefined) checkValue("--commit", commit, COMMIT, commit);
  return { action, commit, baseline: values.get("baseline")?.[0] };
}
