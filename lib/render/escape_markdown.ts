/** Makes text of unknown origin safe in GitHub-flavoured Markdown, tables and all. */

import { escapeText } from "../base/text.ts";

/** Longest name shown, in UTF-16 code units. */
const MAX_NAME = 120;

/**
 * A name as a code span, where nothing is markup, link or mention. What would end the span or a cell of
 * a table is written as `escapeText` writes what it escapes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(codeSpan("a|b"), "`a\\u{7c}b`");
 * ```
 */
export function codeSpan(name: string): string {
  const shown = escapeText(name)
    .replaceAll(/[`|]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
  const cut = shown.length > MAX_NAME ? `${shown.slice(0, MAX_NAME).toWellFormed()}…` : shown;
  // A span of spaces alone would show as nothing at all.
  return cut.trim() === "" ? `\`"${cut}"\`` : `\`${cut}\``;
}

/**
 * Prose as it is: every character that can be markup is escaped, and mentions and references to issues
 * are kept from being made into links by a zero-width space.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(escapeMarkdown("*a* <b>"), "\\*a\\* \\<b\\>");
 * ```
 */
export function escapeMarkdown(text: string): string {
  return escapeText(text)
    .replaceAll(/[\\`*_{}[\]<>#+.!|~&:@^$=-]/g, "\\$&")
    .replaceAll(/[@#]/g, "$&\u200b");
}
