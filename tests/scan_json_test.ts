/** The strict JSON reader against JSON.parse, and where it is stricter. */

import assert from "node:assert/strict";
import { feedBytes, feedText, type JsonFeed } from "../lib/safetensors/json_feed.ts";
import { COST, MAX_KEPT } from "../lib/safetensors/json_limits.ts";
import { JsonReader } from "../lib/safetensors/json_reader.ts";
import {
  JsonNumber,
  type JsonValue,
  scanJson,
  scanPlainJson,
} from "../lib/safetensors/scan_json.ts";

/** What JSON.parse gives for the same text. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  // Object.fromEntries defines properties, so that "__proto__" is one as in JSON.parse.
  return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
}

const VALID = [
  ..."null true false 0 -0 7 -7 64.0 0.5 -1.5e-3 1E+2 1e400 9007199254740993 123456789012".split(
    " ",
  ),
  '""',
  '"a"',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
  '"\\u0041\\u00e9\\ud83d\\ude00"',
  '"\u00e9\u2028\x7f"',
  '"\u{1f600}"',
  '"\\\\"',
  '"\\\\\\""',
  '"\\u0000"',
  "[]",
  "[ ]",
  "[1]",
  "[1,2 , 3]",
  "[[],[[]],{}]",
  '["a",null,true,false]',
  "{}",
  "{ }",
  '{"a":1}',
  '{ "a" : 1 , "b" : [ { } ] }',
  '{"":""}',
  '{"a":{"a":{"a":0}}}',
  '{"__proto__":{"x":1},"constructor":2}',
  '{"b":1,"a":2,"10":3,"2":4}',
  '{"A":0,"a":0}',
  '{"\u00e9":0,"e\u0301":0}',
  " \t\r\n[ \t\r\n] \t\r\n",
  "[".repeat(32) + "]".repeat(32),
];

for (const text of VALID) {
  Deno.test(`scanJson() agrees with JSON.parse when it reads ${JSON.stringify(text).slice(0, 60)}`, () => {
    assert.deepEqual(plain(scanJson(text)), JSON.parse(text));
  });
}

Deno.test("scanJson() keeps the order of the text when keys look like numbers", () => {
  const value = scanJson('{"b":1,"10":2,"a":3,"2":4,"__proto__":5}');
  assert.ok(value instanceof Map);
  assert.deepEqual([...value.keys()], ["b", "10", "a", "2", "__proto__"]);
});

// The message's start and the position it gives, for texts that are not JSON or mean two things.
const INVALID: [string, string, number][] = [
  ["", "Expected a value, but the text ends", 0],
  [" ", "Expected a value, but the text ends", 1],
  ["\ufeff1", "Expected a value", 0],
  ["\xa01", "Expected a value", 0],
  ["nul", "Expected a value", 0],
  ["True", "Expected a value", 0],
  ["undefined", "Expected a value", 0],
  ["'a'", "Expected a value", 0],
  ["+1", "Expected a value", 0],
  [".5", "Expected a value", 0],
  ["-", "Expected a value", 0],
  ["-a", "Expected a value", 0],
  ["NaN", "Expected a value", 0],
  ["Infinity", "Expected a value", 0],
  ["-Infinity", "Expected a value", 0],
  ["01", "Text after the end of the document", 1],
  ["1.", "Text after the end of the document", 1],
  ["1.e5", "Text after the end of the document", 1],
  ["1e", "Text after the end of the document", 1],
  ["0x10", "Text after the end of the document", 1],
  ["1_000", "Text after the end of the document", 1],
  ["nulls", "Text after the end of the document", 4],
  ["{}{}", "Text after the end of the document", 2],
  ["1 2", "Text after the end of the document", 2],
  ["[1]\0", "Text after the end of the document", 3],
  ["{} // note", "Text after the end of the document", 3],
  ["[", "Expected a value, but the text ends", 1],
  ["[1", "Expected a comma or a closing bracket, but the text ends", 2],
  ["[1,", "Expected a value, but the text ends", 3],
  ["[1,]", "Expected a value", 3],
  ["[,1]", "Expected a value", 1],
  ["[1 2]", "Expected a comma or a closing bracket", 3],
  ["[1}", "Expected a comma or a closing bracket", 2],
  ["{", "Expected a key in double quotes, but the text ends", 1],
  ["{a:1}", "Expected a key in double quotes", 1],
  ["{1:1}", "Expected a key in double quotes", 1],
  ["{'a':1}", "Expected a key in double quotes", 1],
  ['{"a":1,}', "Expected a key in double quotes", 7],
  ['{"a"}', "Expected a colon after a key", 4],
  ['{"a" 1}', "Expected a colon after a key", 5],
  ['{"a":}', "Expected a value", 5],
  ['{"a":1', "Expected a comma or a closing brace, but the text ends", 6],
  ['{"a":1]', "Expected a comma or a closing brace", 6],
  ['{"a":1 "b":2}', "Expected a comma or a closing brace", 7],
  ['"', "Unterminated string", 1],
  ['"a\\', "Unterminated string", 3],
  ['"a\\"', "Unterminated string", 4],
  ['"a\nb"', "Control character in a string", 2],
  ['"\0"', "Control character in a string", 1],
  ['"\x1f"', "Control character in a string", 1],
  ['"\\x41"', "Invalid escape in a string", 6],
  ['"\\u12"', "Invalid escape in a string", 6],
  ['"\\u{41}"', "Invalid escape in a string", 8],
  ['"\\\n"', "Invalid escape in a string", 4],
  ['"\\ud800"', "Lone surrogate in a string", 8],
  ['"\\ude00\\ud83d"', "Lone surrogate in a string", 14],
  ['{"\\udfff":0}', "Lone surrogate in a string", 9],
  ['{"a":1,"a":1}', 'Duplicate key "a"', 10],
  ['{"a":1,"\\u0061":1}', 'Duplicate key "a"', 15],
  ['{"x":{"b":0,"b":0}}', 'Duplicate key "b"', 15],
  ['{"__proto__":0,"__proto__":0}', 'Duplicate key "__proto__"', 26],
  ["[".repeat(33) + "]".repeat(33), "Nesting deeper than 32", 32],
  ['{"a":'.repeat(200), "Nesting deeper than 32", 160],
];

for (const [text, what, at] of INVALID) {
  Deno.test(`scanJson() refuses the text when it is ${JSON.stringify(text).slice(0, 60)}`, () => {
    assert.throws(() => scanJson(text), {
      name: "JsonSyntaxError",
      message: `${what} at byte ${at}`,
    });
  });
}

Deno.test("scanJson() says nothing of the content when the text is no JSON", () => {
  for (const text of ["root:x:0:0:secret", '{"a":secret', '["secret']) {
    assert.throws(() => scanJson(text), (error) => !String(error).includes("secret"));
  }
});

Deno.test("scanJson() reads what JSON.parse reads and nothing else when a text is damaged", () => {
  const text = '{"a":[1,-2.5e3,"x\\u00e9\\n"],"b":{"c":null,"d":true}, "e":""}';
  for (let at = 0; at < text.length; at++) {
    for (const char of ['"', ",", "}", "]", "\\", "0", " ", ""]) {
      const damaged = text.slice(0, at) + char + text.slice(at + 1);
      let expected: unknown;
      try {
        expected = JSON.parse(damaged);
      } catch {
        assert.throws(() => scanJson(damaged), { name: "JsonSyntaxError" }, damaged);
        continue;
      }
      assert.deepEqual(plain(scanJson(damaged)), expected, damaged);
    }
  }
});

Deno.test("scanJson() reads NaN and Infinity only when allowed to", () => {
  const text = '[NaN, Infinity, -Infinity, {"rope_theta":-Infinity}, -1]';
  assert.throws(() => scanJson(text), { message: "Expected a value at byte 1" });
  const expected = [NaN, Infinity, -Infinity, { rope_theta: -Infinity }, -1];
  assert.deepEqual(plain(scanJson(text, { allowNonFinite: true })), expected);
  for (const other of ["nan", "inf", "+Infinity", "-NaN", "Infinit"]) {
    assert.throws(() => scanJson(other, { allowNonFinite: true }), { name: "JsonSyntaxError" });
  }
});

Deno.test("scanJson() refuses the text when it holds half a character", () => {
  assert.throws(() => scanJson('"\ud800"'), {
    name: "JsonSyntaxError",
    message: "Lone surrogate in the text",
  });
});

const UNSIGNED: [string, bigint | undefined][] = [
  ["0", 0n],
  ["64", 64n],
  ["9007199254740993", 2n ** 53n + 1n],
  ["18446744073709551615", 2n ** 64n - 1n],
  ["18446744073709551616", undefined],
  ["100000000000000000000", undefined],
  ["-0", undefined],
  ["-1", undefined],
  ["64.0", undefined],
  ["6e1", undefined],
  ["6E1", undefined],
];

for (const [text, expected] of UNSIGNED) {
  Deno.test(`JsonNumber.asUnsigned() gives ${expected} when the text is ${text}`, () => {
    const value = scanJson(text);
    assert.ok(value instanceof JsonNumber);
    assert.equal(value.asUnsigned(), expected);
  });
}

/** Feeds a text so many bytes at a time. */
function feedSlowly(text: string, step: number): JsonFeed {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return (into) => {
    const part = bytes.subarray(at, Math.min(at + step, at + into.length));
    into.set(part);
    at += part.length;
    return part.length;
  };
}

Deno.test("scanJson() reads and refuses the same when a document comes byte by byte or in any pieces", () => {
  for (const step of [1, 2, 3, 7]) {
    for (const text of VALID) {
      assert.deepEqual(plain(scanJson(feedSlowly(text, step))), JSON.parse(text), text);
      assert.deepEqual(scanPlainJson(feedSlowly(text, step), Number), JSON.parse(text), text);
    }
    for (const [text, what, at] of INVALID) {
      // A byte order mark is one only in a file.
      if (text.startsWith("\ufeff")) continue;
      const message = `${what} at byte ${at}`;
      assert.throws(() => scanJson(feedSlowly(text, step)), { message }, text);
      assert.throws(() => scanPlainJson(feedSlowly(text, step), Number), { message }, text);
    }
  }
});

Deno.test("scanJson() reads texts and numbers when they are longer than what is held of a document", () => {
  for (const char of ["a", "\u00e9", "\u{1f600}", "\\n", "\\\\"]) {
    for (const length of [2 ** 15, 2 ** 16 - 2, 2 ** 16 - 1, 2 ** 16, 2 ** 18 + 1]) {
      const text = `["${char.repeat(length)}","${char}",1${"0".repeat(length)}]`;
      assert.deepEqual(scanPlainJson(text, () => 7), [...JSON.parse(text).slice(0, 2), 7]);
    }
  }
  assert.equal(scanPlainJson(" ".repeat(2 ** 16 - 1) + "12", Number), 12);
});

Deno.test("scanJson() refuses a text when it has more than 16 MB", () => {
  const longest = "a".repeat(2 ** 24);
  assert.equal(scanJson(`"${longest}"`), longest);
  assert.throws(() => scanJson(`"${longest}a"`), {
    message: "A text or number longer than 16 MB at byte 0",
  });
  assert.throws(() => scanJson("1".repeat(2 ** 25 + 2 ** 24)), {
    message: "A text or number longer than 16 MB at byte 0",
  });
});

Deno.test("scanJson() takes a byte order mark of a file and no other", () => {
  assert.equal(plain(scanJson(feedBytes(new TextEncoder().encode("\ufeff1")))), 1);
  const bytes = new TextEncoder().encode("\ufeff\ufeff1");
  assert.throws(() => scanJson(feedBytes(bytes)), { message: "Expected a value at byte 3" });
});

Deno.test("scanPlainJson() gives what JSON.parse gives when lists hold numbers, others or both", () => {
  for (
    const text of [
      "[1,2.5,-3]",
      "[1,null,2.5]",
      '[[1],[2,[3.5,"a"]],[]]',
      '{"a":[0,-0,1e3],"b":[1,{}]}',
      "[123456789012345,1234567890123456,0.1]",
      '{"__proto__":[1],"constructor":{"__proto__":null}}',
    ]
  ) assert.deepEqual(scanPlainJson(text, Number), JSON.parse(text));
});

// What takes memory, a document of n of them, how many there is room for.
const COSTLY: [string, (n: number) => string, number][] = [
  [
    "empty lists",
    (n) => `[${"[],".repeat(n)}0]`,
    MAX_KEPT / (COST.list + COST.item + COST.openItem),
  ],
  [
    "empty objects",
    (n) => `[${"{},".repeat(n)}0]`,
    MAX_KEPT / (COST.map + COST.item + COST.openItem),
  ],
  [
    "numbers",
    (n) => `[${"0,".repeat(n)}0]`,
    MAX_KEPT / (COST.literal + 1 + COST.item + COST.openItem),
  ],
];

for (const [what, document, most] of COSTLY) {
  Deno.test(`scanJson() refuses a document when there is no room for its ${what}`, () => {
    assert.ok(scanJson(document(Math.floor(0.99 * most))));
    assert.throws(() => scanJson(document(Math.ceil(1.01 * most))), {
      name: "JsonSyntaxError",
      message: /^Too many values: they take more than the 160 MB allowed at byte \d+$/,
    });
  });
}

Deno.test("scanPlainJson() counts orders of keys, as an engine keeps something of each", () => {
  const orders = Array.from({ length: MAX_KEPT / COST.shape }, (_, i) => `{"${i}":0}`);
  assert.throws(() => scanPlainJson(`[${orders.join(",")}]`, Number), { message: /^Too many/ });
  assert.ok(scanPlainJson(`[${'{"a":0},'.repeat(orders.length)}0]`, Number));
});

Deno.test("JsonReader.skipValue() keeps nothing, and checks as much as if it did", () => {
  const long = `[${'["a",{"b":1}],'.repeat(2 ** 20)}0]`;
  const reader = new JsonReader(feedText(`${long} `), 3);
  reader.skipValue();
  reader.finish();
  for (const [text, what, at] of INVALID) {
    if (what.startsWith("Nesting")) continue;
    assert.throws(
      () => {
        const reader = new JsonReader(feedText(text), 32);
        reader.skipValue();
        reader.finish();
      },
      { message: `${what} at byte ${at}` },
      text,
    );
  }
});

Deno.test("scanPlainJson() reads and refuses the same when much follows", () => {
  const space = " ".repeat(100);
  for (const text of VALID) {
    assert.deepEqual(scanPlainJson(`${text}${space}`, Number), JSON.parse(text), text);
  }
  for (const [text, what, at] of INVALID) {
    // What is missing at the end is missing behind the space.
    if (at >= text.length) continue;
    const message = `${what} at byte ${at}`;
    assert.throws(() => scanPlainJson(`${text}${space}`, Number), { message }, text);
  }
});

Deno.test("scanJson() reads a character of two units wherever it stands in a text", () => {
  for (let length = 2 ** 16 - 4; length < 2 ** 16 + 2; length++) {
    const text = `${"a".repeat(length)}\u{1f600}b`;
    assert.equal(scanJson(`"${text}"`), text);
  }
});

Deno.test("scanPlainJson() no longer counts the keys of an object when it has ended", () => {
  const object = `{${Array.from({ length: 100 }, (_, i) => `"${i}":0`).join(",")}}`;
  const count = MAX_KEPT / (80 * COST.entry);
  const list = scanPlainJson(`[${`${object},`.repeat(count)}0]`, Number);
  assert.equal((list as unknown[]).length, count + 1);
});

Deno.test("JsonReader.skipValue() gives back what texts took", () => {
  const text = `"${"a".repeat(2 ** 24)}",`;
  const bytes = new TextEncoder().encode(text);
  const times = MAX_KEPT / 2 ** 24 + 2;
  const feeds = [
    feedText("["),
    ...Array.from({ length: times }, () => feedBytes(bytes)),
    feedText("0]"),
  ];
  const reader = new JsonReader((into) => {
    for (let count; feeds.length > 0; feeds.shift()) {
      if ((count = feeds[0]!(into)) > 0) return count;
    }
    return 0;
  }, 1);
  reader.skipValue();
  reader.finish();
});
