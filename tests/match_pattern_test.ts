/** Name patterns: what a glob and a regular expression match, and which are malformed. */

import assert from "node:assert/strict";
import { compilePattern, loadEngineFor } from "../lib/base/match_pattern.ts";
import { assertBadInput } from "./assert_bad_input.ts";

await loadEngineFor(["a*", "re:a"]);

// The pattern, names it matches, names it does not match.
const PATTERNS: [string, string[], string[]][] = [
  ["lm_head", ["lm_head"], ["lm_head.weight", "x.lm_head", "lm_headX", "LM_HEAD", ""]],
  ["blocks.*.attn.qkv", ["blocks.0.attn.qkv", "blocks.a.b.attn.qkv"], ["blocks.0.attn.qkvx"]],
  ["blocks.0.*", ["blocks.0.attn.qkv", "blocks.0."], ["blocks.01.attn", "xblocks.0.a", "blocks.0"]],
  ["*", ["", "a", "a.b", "a\nb", "\u{1f600}"], []],
  ["**", ["", "a.b"], []],
  ["*.weight", ["a.weight", ".weight"], ["a.weights", "aXweight"]],
  ["a?c", ["abc", "a.c", "a\nc", "a\u{1f600}c"], ["ac", "abbc"]],
  ["[ab].x", ["a.x", "b.x"], ["c.x", "ab.x", "aXx"]],
  ["b.[0-9]", ["b.0", "b.9"], ["b.10", "b.a", "b."]],
  ["b.[0-9][0-9]", ["b.10"], ["b.1", "b.100"]],
  ["b.[!0-2]", ["b.3", "b.x"], ["b.0", "b.2", "b."]],
  ["[!ab]", ["c", "!"], ["a", "b", ""]],
  ["[a!]", ["a", "!"], ["b"]],
  ["[!]", ["!"], ["a", "[!]"]],
  ["[^a]", ["^", "a"], ["b"]],
  ["[\\d]", ["\\", "d"], ["1"]],
  ["[[]", ["["], ["]"]],
  ["[.]", ["."], ["a"]],
  ["[a-]", ["a", "-"], ["b"]],
  ["a.b", ["a.b"], ["aXb"]],
  ["a+b", ["a+b"], ["aab"]],
  ["a(b)|{c}^$\\/", ["a(b)|{c}^$\\/"], ["ab", "a"]],
  ["\u00e9", ["\u00e9"], ["e\u0301", "e"]],
  ["re", ["re"], ["re:"]],
  ["RE:a", ["RE:a"], ["a"]],
  ["re:blocks\\.[01]\\.", ["blocks.0.x", "blocks.1."], ["blocks.2.x", "x.blocks.0.x", "blocksX0."]],
  ["re:.*attn$", ["blocks.0.attn", "attn"], ["attn.qkv"]],
  ["re:a|b", ["a", "b", "bc"], ["ca", "cb"]],
  ["re:a.b", ["a\nb", "a\u{1f600}b"], ["ab"]],
  ["re:a/b", ["a/b"], ["a"]],
  ["re:(?<x>a)[bc]$", ["ab", "ac"], ["a", "abc"]],
  ["re:\\w+\\.\\d{1,2}$", ["block.7", "block.12"], ["block.123", "block."]],
  ["*a*b*c", ["xaybzc", "abc", "abcabc"], ["acb", "ab", "abcd"]],
];

for (const [pattern, matching, others] of PATTERNS) {
  Deno.test(`compilePattern() matches whole names when the pattern is ${pattern}`, () => {
    const expression = compilePattern(pattern);
    for (const name of matching) assert.ok(expression.test(name), JSON.stringify(name));
    for (const name of others) assert.ok(!expression.test(name), JSON.stringify(name));
  });
}

const MALFORMED = [
  "",
  "re:",
  "[",
  "]",
  "a[b",
  "a]b",
  "[]",
  "a[]b",
  "[]a]",
  "[b-a]",
  "re:(",
  "re:)",
  "re:a)|(?:b",
  "re:a)(b",
  "re:[",
  "re:*",
  "re:a{2,1}",
  "re:\\",
  "re:\\q",
  "re:(?<x>a)(?<x>b)",
  "re:(?=a)",
  "re:a(?!b)",
  "re:(a)\\1",
];

for (const pattern of MALFORMED) {
  Deno.test(`compilePattern() refuses the pattern when it is ${JSON.stringify(pattern)}`, () => {
    const shown = pattern.replaceAll('"', '\\"');
    assertBadInput(
      () => compilePattern(pattern),
      `Cannot read the pattern "${shown}": `,
    );
  });
}

Deno.test("compilePattern() escapes the pattern when it refuses one with control characters", () => {
  assertBadInput(
    () => compilePattern("[\x1b\n"),
    'the pattern "[\\u{1b}\\u{a}": a bracket without its partner: give a glob',
  );
});

Deno.test("compilePattern() takes time in proportion to a name when a pattern could go back and forth", () => {
  const name = "attn".repeat(25_000);
  const patterns = ["*attn*attn*attn*x", "re:(a|t|n)*x", "re:((a?t*n?)+)+$x", "re:.*.*.*.*x"];
  for (const pattern of patterns) {
    const compiled = compilePattern(pattern);
    const start = performance.now();
    assert.equal(compiled.test(name), false, pattern);
    // Going back and forth takes hours.
    assert.ok(performance.now() - start < 10_000, pattern);
  }
});
