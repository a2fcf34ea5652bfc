/** The assertion about every refusal of bad input. */

import assert from "node:assert/strict";
import { BadInputError } from "../lib/base/errors.ts";

/**
 * Asserts that `run` throws a BadInputError whose message contains `part`, is one short line
 * that is safe on a terminal, and shows neither engine text nor a file's content (`SECRET`).
 */
export function assertBadInput(run: () => unknown, part: string): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof BadInputError, `not a BadInputError: ${error}`);
    assert.ok(error.message.includes(part), error.message);
    // deno-lint-ignore no-control-regex -- none of them may reach a terminal
    assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]|os error|SECRET/);
    assert.ok(error.message.length < 1000, `${error.message.length} characters`);
    return true;
  });
}
