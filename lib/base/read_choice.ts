/** One word among those that are allowed. */

import { BadInputError } from "./errors.ts";
import { quote } from "./text.ts";

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
  const choice = choices.find((one) => one === text);
  if (choice !== undefined) return choice;
  const list = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  throw new BadInputError(`${subject} is ${quote(text)}, must be ${list}`);
}
