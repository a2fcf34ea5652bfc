/**
 * Names come from files, so they may hold anything: this is the one place that
 * makes them safe to show on a terminal or in a one-line message.
 */

/** Longest name shown; a longer one is cut. In UTF-16 code units. */
const MAX_SHOWN = 200;

// Control characters (C0, DEL, C1), line and paragraph separators, bidirectional
// controls and lone surrogates: what can move the cursor, break a line, reorder
// the text around it or fail to encode.
const UNSAFE =
  // deno-lint-ignore no-control-regex -- they are what this expression is for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu;

/**
 * Escapes text of unknown origin for a terminal: control, bidirectional and
 * separator characters become `\u{hex}`, and more than 200 characters are cut.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(escapeText("a\x1b[31mb"), "a\\u{1b}[31mb");
 * ```
 */
export function escapeText(text: string): string {
  const shown = text.length > MAX_SHOWN ? text.slice(0, MAX_SHOWN) : text;
  const safe = shown.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
  return shown === text ? safe : `${safe}…`;
}

/** The text escaped and in double quotes, as every message shows a name. */
export function quote(text: string): string {
  return `"${escapeText(text).replaceAll('"', '\\"')}"`;
}

/** How many tensors a run does not touch. */
export function countLeft(tensors: number): string {
  return `${countNouns(tensors, "tensor")} left as ${tensors === 1 ? "it is" : "they are"}`;
}

/** A number and what is counted, in the singular where it is one: `1 layer`, `2 layers`. */
export function countNouns(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
