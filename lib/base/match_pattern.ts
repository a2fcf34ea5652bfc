/** Name patterns as `--ignore` takes them. */

import { BadInputError } from "./errors.ts";
import { quote } from "./text.ts";

/**
 * Compiles a name pattern: a glob over the whole name (`*` any run of characters, dots included;
 * `?` one; `[ab]`, `[a-z]`, `[!a]` one of a set), or `re:` and a regular expression that has to
 * match from the start of the name, as in compressed-tensors configurations.
 *
 * @throws {BadInputError} The pattern is empty or malformed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(compilePattern("blocks.*.attn.?kv").test("blocks.0.attn.qkv"));
 * assert.ok(compilePattern("re:blocks\\.[01]\\.").test("blocks.1.mlp.fc1"));
 * ```
 */
export function compilePattern(pattern: string): RegExp {
  try {
    if (pattern === "" || pattern === "re:") throw new SyntaxError("empty");
    if (!pattern.startsWith("re:")) return new RegExp(globSource(pattern), "su");
    // Compiled alone first: "a)|(b" is malformed, yet legal inside the group.
    const { source } = new RegExp(pattern.slice(3), "su");
    return new RegExp(`^(?:${source})`, "su");
  } catch {
    throw new BadInputError(
      `Cannot read the ignore pattern ${quote(pattern)}: ` +
        'give a glob such as "blocks.*.attn.*" or "re:" and a regular expression',
    );
  }
}

function globSource(glob: string): string {
  const body = glob.replace(/\[(!?)([^\]]+)\]|[\\^$.*+?()[\]{}|/]/gs, (part, not, set) => {
    if (set !== undefined) return `[${not ? "^" : ""}${set.replace(/[\\^[]/g, "\\$&")}]`;
    if (part === "*") return ".*";
    if (part === "?") return ".";
    // A bracket without its partner, or around nothing, becomes a group that never ends, so that
    // the compiler refuses it.
    return part === "[" || part === "]" ? "(" : `\\${part}`;
  });
  return `^${body}$`;
}
