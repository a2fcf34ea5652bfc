/**
 * Names come from files, so they may hold anything: this is the one place that
 * makes them safe to show on a terminal or in a one-line message.
 */

/** Most of a name that is shown, in bytes of UTF-8: a longer one is cut. */
const MAX_SHOWN = 200;

// Control characters (C0, DEL, C1), line and paragraph separators, bidirectional
// controls and lone surrogates: what can move the cursor, break a line, reorder
// the text around it or fail to encode.
const UNSAFE =
  // deno-lint-ignore no-control-regex -- they are what this expression is for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/u;

/**
 * Escapes text of unknown origin for a terminal: control, bidirectional and separator characters become
 * `\u{hex}`, and what does not fit in 200 bytes is cut, between characters.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(escapeText("a\x1b[31mb"), "a\\u{1b}[31mb");
 * ```
 */
export function escapeText(text: string): string {
  // No character takes more than three bytes a code unit.
  if (text.length <= MAX_SHOWN / 3 && !UNSAFE.test(text)) return text;
  let shown = "";
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    const safe = UNSAFE.test(char) ? `\\u{${code.toString(16)}}` : char;
    bytes += safe === char ? bytesOf(code) : safe.length;
    if (bytes > MAX_SHOWN) return `${shown}…`;
    shown += safe;
  }
  return shown;
}

/** The beginning of a text that fits in so many bytes of UTF-8, cut between characters. */
export function cutToBytes(text: string, most: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(most));
  return text.slice(0, read);
}

/** Bytes of a character in UTF-8. */
function bytesOf(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
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
