/** The writing half of lib/safetensors/header.ts: what a header looks like, and what is never written. */

import assert from "node:assert/strict";
import { encodeEntries, encodeHeader, type NewTensor } from "../lib/safetensors/encode_header.ts";
import { MAX_HEADER_BYTES, parseHeader } from "../lib/safetensors/header.ts";
import { feedBytes } from "../lib/safetensors/json_feed.ts";
import { assertBadInput } from "./assert_bad_input.ts";

const TENSORS: NewTensor[] = [
  { name: "b", dtype: "U8", shape: [3], byteLength: 3 },
  { name: "a", dtype: "U8", shape: [], byteLength: 1 },
  { name: "z", dtype: "F32", shape: [1, 2], byteLength: 8 },
  { name: "i", dtype: "I64", shape: [1], byteLength: 8 },
  { name: "h", dtype: "BF16", shape: [1], byteLength: 2 },
  { name: "e", dtype: "F32", shape: [0, 4], byteLength: 0 },
];
const METADATA = new Map([["format", "pt"], ["a", "1"]]);

/** All orders of a list. */
function* permutations<T>(items: T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [i, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(i, 1))) yield [item, ...rest];
  }
}

const jsonOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(8));

Deno.test("encodeHeader() writes the widest first, then by name, when given several tensors", () => {
  const { bytes, begins, byteLength } = encodeHeader(TENSORS, METADATA);
  assert.equal(
    jsonOf(bytes).trimEnd(),
    '{"__metadata__":{"a":"1","format":"pt"},' +
      '"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},' +
      '"e":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]},' +
      '"z":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},' +
      '"h":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},' +
      '"a":{"dtype":"U8","shape":[],"data_offsets":[18,19]},' +
      '"b":{"dtype":"U8","shape":[3],"data_offsets":[19,22]}}',
  );
  assert.deepEqual(
    Object.fromEntries(TENSORS.map(({ name }, i) => [name, begins[i]! - bytes.length])),
    { i: 0, e: 8, z: 8, h: 16, a: 18, b: 19 },
  );
  assert.equal(byteLength, bytes.length + 22);
});

Deno.test("encodeHeader() gives the same bytes when tensors and metadata come in any order", () => {
  const expected = encodeHeader(TENSORS, METADATA);
  for (const tensors of permutations(TENSORS)) {
    const given = encodeHeader(tensors, new Map([...METADATA].reverse()));
    assert.deepEqual(given.bytes, expected.bytes);
  }
});

Deno.test("encodeHeader() aligns the data to 8 bytes when names have any length", () => {
  for (let length = 1; length <= 16; length++) {
    const name = "n".repeat(length);
    const { bytes } = encodeHeader([{ name, dtype: "U8", shape: [1], byteLength: 1 }], new Map());
    const announced = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assert.equal(bytes.length % 8, 0);
    assert.equal(announced, bytes.length - 8);
    assert.match(jsonOf(bytes), /^\{"n+":\{.*\}\} {0,7}$/);
  }
});

Deno.test("encodeHeader() writes what parseHeader() reads when names and texts are unusual", () => {
  const names = [
    "__proto__",
    "0",
    "10",
    "2",
    "",
    'q"\\',
    "a\0\x1f\u2028",
    "\u00e9",
    "e\u0301",
    "\u{1f600}",
  ];
  const tensors = names.map((name, i) => ({ name, dtype: "U8", shape: [i], byteLength: i }));
  const metadata = new Map([["__proto__", "\x00"], ['"', "\u202e"]]);
  const { bytes, begins, byteLength } = encodeHeader(tensors, metadata);
  const header = parseHeader(feedBytes(bytes.subarray(8)), bytes.length - 8, byteLength);
  assert.deepEqual(new Map([...header.metadata!].reverse()).size, 2);
  assert.deepEqual(header.metadata!.get("__proto__"), "\x00");
  assert.deepEqual(header.metadata!.get('"'), "\u202e");
  assert.deepEqual(header.tensors.map(({ name }) => name).sort(), [...names].sort());
  for (const { name, shape, begin, end } of header.tensors) {
    assert.deepEqual(shape, [names.indexOf(name)]);
    assert.deepEqual([begin, end - begin], [begins[names.indexOf(name)], shape[0]]);
  }
});

Deno.test("encodeHeader() writes what parseHeader() reads when names take three bytes a character", () => {
  for (const [length, count] of [[100, 2000], [100_000, 2]] as const) {
    const names = Array.from({ length: count }, (_, i) => `${"\u754c".repeat(length)}${i}`);
    const tensors = names.map((name) => ({ name, dtype: "U8", shape: [1], byteLength: 1 }));
    const { bytes, byteLength } = encodeHeader(tensors, new Map());
    assert.ok(bytes.length > 3 * length * count);
    const header = parseHeader(feedBytes(bytes.subarray(8)), bytes.length - 8, byteLength);
    assert.deepEqual(header.tensors.map(({ name }) => name), names.sort());
  }
});

Deno.test("encodeHeader() refuses tensors of two dtypes that have one name", () => {
  const tensors = [["a", "U8"], ["b", "U8"], ["a", "I8"], ["c", "I8"]].map(([name, dtype]) => ({
    name: name!,
    dtype: dtype!,
    shape: [1],
    byteLength: 1,
  }));
  assertBadInput(
    () => encodeHeader(tensors, new Map()),
    'Cannot write tensor "a": the name is already taken',
  );
});

Deno.test("encodeEntries() keeps the order of tensors, and reads them once", () => {
  const names = Array.from({ length: 3000 }, (_, i) => `t${i * 7 % 3000}`);
  const { bytes, byteLength } = encodeEntries(
    names.values().map((name) => ({ name, dtype: "F32", shape: [2], byteLength: 8 })),
    new Map([["format", "pt"]]),
  );
  // More than is put together at a time.
  assert.ok(bytes.length > 2 * 2 ** 16);
  assert.equal(byteLength, bytes.length + 8 * names.length);
  const header = parseHeader(feedBytes(bytes.subarray(8)), bytes.length - 8, byteLength);
  assert.deepEqual(header.tensors.map(({ name }) => name), names);
  assert.deepEqual(
    header.tensors.map(({ begin }) => begin),
    names.map((_, i) => bytes.length + 8 * i),
  );
  assert.equal(header.metadata?.get("format"), "pt");
});

Deno.test("encodeHeader() leaves the metadata out when it is empty", () => {
  const { bytes, byteLength } = encodeHeader([], new Map());
  assert.equal(jsonOf(bytes), "{}      ");
  assert.equal(byteLength, 16);
});

const REFUSED: [string, string[], string][] = [
  ["a name is used twice", ["a", "b", "a"], 'Cannot write tensor "a": the name is already taken'],
  ["a tensor is named __metadata__", ["__metadata__"], 'Cannot write tensor "__metadata__": the'],
  ["the header would pass 100 MB", ["n".repeat(MAX_HEADER_BYTES)], "at most 100000000 are allowed"],
];

for (const [when, names, message] of REFUSED) {
  Deno.test(`encodeHeader() refuses the tensors when ${when}`, () => {
    const tensors = names.map((name) => ({ name, dtype: "U8", shape: [1], byteLength: 1 }));
    assertBadInput(() => encodeHeader(tensors, new Map()), message);
  });
}

Deno.test("encodeHeader() writes 100 MB and not 8 bytes more when a name just fits", () => {
  const rest = '{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.length;
  const tensor = { dtype: "U8", shape: [1], byteLength: 1 };
  const name = "n".repeat(MAX_HEADER_BYTES - rest);
  assert.equal(encodeHeader([{ ...tensor, name }], new Map()).bytes.length, 8 + MAX_HEADER_BYTES);
  assert.throws(() => encodeHeader([{ ...tensor, name: `${name}n` }], new Map()), {
    name: "BadInputError",
    message: /^Cannot write the header: 100000008 bytes, at most 100000000 are allowed/,
  });
});
