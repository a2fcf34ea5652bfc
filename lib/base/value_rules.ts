/** What a value may be, and the one way in which a value that is something else is refused. */

import { BadInputError } from "./errors.ts";
import { quote } from "./text.ts";

/** What a value may be. */
export interface ValueRule {
  /** The end of "must be ...". */
  allowed: string;
  /** Whether a value of unknown kind is that. */
  accepts: (value: unknown) => boolean;
}

/** A whole number between two others, both included. */
export function wholeNumber(
  { min, max, multiple = 1 }: { min: number; max: number; multiple?: number },
): ValueRule {
  const kind = multiple > 1 ? `a multiple of ${multiple}` : "a whole number";
  return {
    allowed: `${kind} from ${min} to ${max}`,
    accepts: (value) => isBetween(value, min, max) && value % multiple === 0,
  };
}

/** A number between two others, both included. */
export function numberBetween({ min, max }: { min: number; max: number }): ValueRule {
  return {
    allowed: `a number from ${min} to ${max}`,
    accepts: (value) => isBetween(value, min, max),
  };
}

/** A number above one and not above another. */
export function numberAbove({ above, max }: { above: number; max: number }): ValueRule {
  return {
    allowed: `a number above ${above} and at most ${max}`,
    accepts: (value) => isBetween(value, above, max) && value > above,
  };
}

/** One of some words or numbers. */
export function oneOf(choices: readonly (string | number)[]): ValueRule {
  return {
    allowed: `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`,
    accepts: (value) => choices.some((choice) => choice === value),
  };
}

/** -0 is no number that anyone means. */
function isBetween(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && !Object.is(value, -0) && value >= min && value <= max;
}

/**
 * Checks a value.
 *
 * @param subject What has it, as a message names it: a flag, an input.
 * @param text How it was written, where it was read from a text.
 * @throws {BadInputError} It is not what the rule allows.
 */
export function checkValue(
  subject: string,
  value: unknown,
  { accepts, allowed }: ValueRule,
  text?: string,
): void {
  if (accepts(value)) return;
  const shown = text === undefined ? describeValue(value) : quote(text);
  throw new BadInputError(`${subject} is ${shown}, must be ${allowed}`);
}

/** A value in a message: a text is called one, since `"16"` for 16 is an easy mistake. */
function describeValue(value: unknown): string {
  if (typeof value === "number") return quote(Object.is(value, -0) ? "-0" : String(value));
  if (typeof value === "string") return `the text ${quote(value)}`;
  if (Array.isArray(value)) return "a list";
  const isWord = value === null || value === undefined || typeof value === "boolean";
  return isWord ? String(value) : `of type ${typeof value}`;
}
