import assert from "node:assert/strict";
import { countLeft, countNouns, cutToBytes, escapeText, quote } from "../lib/base/text.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

for (
  const [what, text, shown] of [
    ["200 bytes", "x".repeat(200), "x".repeat(200)],
    ["201 bytes", "x".repeat(201), `${"x".repeat(200)}…`],
    ["100 characters of two bytes", "é".repeat(100), "é".repeat(100)],
    ["101 characters of two bytes", "é".repeat(101), `${"é".repeat(100)}…`],
    ["66 characters of three bytes", "模".repeat(66), "模".repeat(66)],
    ["67 characters of three bytes", "模".repeat(67), `${"模".repeat(66)}…`],
    ["50 characters of four bytes", "🌡".repeat(50), "🌡".repeat(50)],
    ["51 characters of four bytes", "🌡".repeat(51), `${"🌡".repeat(50)}…`],
    ["a character across the limit", `x${"🌡".repeat(50)}`, `x${"🌡".repeat(49)}…`],
    ["what is escaped", "\u202e".repeat(25), "\\u{202e}".repeat(25)],
    ["too much that is escaped", "\u202e".repeat(26), `${"\\u{202e}".repeat(25)}…`],
    ["a few that are escaped", "a\u202eb\x1bc\ud800", "a\\u{202e}b\\u{1b}c\\u{d800}"],
    ["20 kB", "🌡".repeat(5000), `${"🌡".repeat(50)}…`],
  ] as const
) {
  Deno.test(`escapeText() shows at most 200 bytes, and no part of a character, when there are ${what}`, () => {
    assert.equal(escapeText(text), shown);
    assert.ok(bytesOf(shown.replace(/…$/, "")) <= 200);
    assert.equal(quote(text), `"${shown}"`);
  });
}

Deno.test("cutToBytes() cuts between characters", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 5, 6, 7, 9].map((most) => cutToBytes("aé🌡b", most)),
    ["", "a", "a", "aé", "aé", "aé", "aé🌡", "aé🌡b"],
  );
});

Deno.test("countNouns() and countLeft() know one from many", () => {
  assert.deepEqual([0, 1, 2].map((count) => countNouns(count, "layer")), [
    "0 layers",
    "1 layer",
    "2 layers",
  ]);
  assert.deepEqual([0, 1, 2].map(countLeft), [
    "0 tensors left as they are",
    "1 tensor left as it is",
    "2 tensors left as they are",
  ]);
});
