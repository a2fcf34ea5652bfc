/** Name patterns as `--ignore` takes them; matching takes time in proportion to the name. */

import { BadInputError } from "./errors.ts";
import { escapeText, quote } from "./text.ts";

/** A compiled pattern. */
export interface Pattern {
  /** Whether a name matches. */
  test(name: string): boolean;
}

/** Compiles a regular expression that has to match from the start of a name; throws where it is malformed. */
export type RegexEngine = (source: string) => Pattern;

let engine: RegexEngine | undefined;

/** Says what compiles `re:` patterns. */
export function useRegexEngine(compile: RegexEngine): void {
  engine = compile;
}

/** Loads what some patterns need to be compiled; a command without regular expressions does without. */
export async function loadEngineFor(patterns: readonly string[]): Promise<void> {
  if (!patterns.some((pattern) => pattern.startsWith("re:"))) return;
  useRegexEngine((await import("./linear_regex.ts")).compileRegex);
}

/**
 * Compiles a name pattern: a glob over the whole name (`*` any run of characters, dots included;
 * `?` one; `[ab]`, `[a-z]`, `[!a]` one of a set), or `re:` and a regular expression that has to
 * match from the start of the name, as in compressed-tensors configurations. {@linkcode loadEngineFor} has to
 * be called for the latter.
 *
 * @throws {BadInputError} The pattern is empty or malformed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.ok(compilePattern("blocks.*.attn.?kv").test("blocks.0.attn.qkv"));
 * await loadEngineFor(["re:blocks"]);
 * assert.ok(compilePattern("re:blocks\\.[01]\\.").test("blocks.1.mlp.fc1"));
 * ```
 */
export function compilePattern(pattern: string): Pattern {
  const isRegex = pattern.startsWith("re:");
  if (isRegex && engine === undefined) throw new Error(`No engine is loaded for ${pattern}`);
  try {
    if (pattern === "" || pattern === "re:") throw new SyntaxError("it is empty");
    return isRegex ? engine!(pattern.slice(3)) : compileGlob(pattern);
  } catch (error) {
    const why = escapeText(error instanceof Error ? error.message : String(error));
    // Lookaround and backreferences are what may take more time than a name is long.
    throw new BadInputError(
      `Cannot read the pattern ${quote(pattern)}: ${why}: ` +
        'give a glob such as "blocks.*.attn.*" or "re:" and a regular expression ' +
        "without lookaround and backreferences",
    );
  }
}

/** What one character of a name has to be; `undefined`: any run of them. */
type GlobPart = ((char: string) => boolean) | undefined;

/** Goes back to the last `*` alone, so that no name takes more steps than its length times that of the glob. */
function compileGlob(glob: string): Pattern {
  const parts = parseGlob(glob);
  return {
    test(name) {
      const chars = [...name];
      let [at, part, star, from] = [0, 0, -1, 0];
      while (at < chars.length) {
        const matches = parts[part];
        if (part < parts.length && matches === undefined) {
          [star, from] = [part++, at];
        } else if (matches?.(chars[at]!)) {
          at++;
          part++;
        } else if (star >= 0) {
          part = star + 1;
          at = ++from;
        } else return false;
      }
      while (part < parts.length && parts[part] === undefined) part++;
      return part === parts.length;
    },
  };
}

function parseGlob(glob: string): GlobPart[] {
  return [...glob.matchAll(/\[(!?)([^\]]+)\]|./gsu)].map(([part, not, set]): GlobPart => {
    if (set !== undefined) {
      const isOf = parseSet([...set]);
      return (char) => isOf(char) !== (not === "!");
    }
    if (part === "*") return undefined;
    if (part === "?") return () => true;
    if (part === "[" || part === "]") throw new SyntaxError("a bracket without its partner");
    return (char) => char === part;
  });
}

/** `a`, `a-z`: a dash at an end is itself. */
function parseSet(set: readonly string[]): (char: string) => boolean {
  const ranges: [number, number][] = [];
  for (let i = 0; i < set.length; i++) {
    const from = set[i]!.codePointAt(0)!;
    const isRange = set[i + 1] === "-" && i + 2 < set.length;
    const to = isRange ? set[i + 2]!.codePointAt(0)! : from;
    if (to < from) throw new SyntaxError("a range that ends before it begins");
    ranges.push([from, to]);
    if (isRange) i += 2;
  }
  return (char) =>
    ranges.some(([from, to]) => char.codePointAt(0)! >= from && char.codePointAt(0)! <= to);
}
