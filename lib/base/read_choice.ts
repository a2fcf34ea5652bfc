/** One word among those that are allowed. */

import { checkValue, oneOf } from "./value_rules.ts";

/**
 * Reads a choice.
 *
 * @param subject What is chosen, as a message names it: a flag, an input.
 * @throws {BadInputError} The text is none of the choices.
 */
export function readChoice<T extends string>(
  subject: string,
  text: string,
  choices: readonly T[],
): T {
  checkValue(subject, text, oneOf(choices), text);
  return text as T;
}
