/** Files that are not well-formed safetensors files, each with what the refusal has to say. */

import { rawFile } from "./make_model.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

/** A file that announces a header of this length and is `total` bytes long. */
function announcing(length: bigint, total: number): Uint8Array {
  const bytes = new Uint8Array(total);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  bytes.set(ascii("{}").subarray(0, total - 8), 8);
  return bytes;
}

/** A file with one tensor `a`, an F32 of [2]; `fields` replaces some of its entry by raw JSON. */
export function oneTensor(fields: Record<string, string>, dataBytes = 8): Uint8Array {
  const all = { dtype: '"F32"', shape: "[2]", data_offsets: "[0,8]", ...fields };
  const members = Object.entries(all).map(([key, value]) => `"${key}":${value}`);
  return rawFile(`{"a":{${members.join(",")}}}`, dataBytes);
}

/** A file of U8 tensors a, b, c... at these ranges. */
function ranges(dataBytes: number, ...pairs: [number, number][]): Uint8Array {
  const entries = pairs.map(([begin, end], i) =>
    `"${"abc"[i]}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`
  );
  return rawFile(`{${entries.join(",")}}`, dataBytes);
}

/** JSON of the given depth when it is the value of a field of a tensor. */
export function nestedField(depth: number): string {
  return "[".repeat(depth - 2) + "]".repeat(depth - 2);
}

/** The entry of a tensor without elements. */
const EMPTY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
const LONG = "n".repeat(20_000);
const NO_JSON = "invalid JSON in header: ";
const NO_UTF8 = `${NO_JSON}Invalid UTF-8 in a string`;
const NO_INTEGER = "holds something other than an integer from 0 to 2^64-1";
const UNCOVERED = "incomplete metadata, file not fully covered: tensors end at byte";

/** What is wrong, the file, a part of the message. In the order of the reference reader's checks. */
export const HOSTILE_HEADERS: [what: string, file: Uint8Array, message: string][] = [
  // 1: at least 8 bytes
  ["no byte", new Uint8Array(0), "the file is empty: download or write it again"],
  ["7 bytes", new Uint8Array(7), "header too small: the file has 7 bytes, at least 8 are needed"],
  // 2: a length up to 100 MB
  ["a length of 100 MB and 1", announcing(100_000_001n, 64), "header too large: 100000001 bytes"],
  ["a length of 2^63", announcing(2n ** 63n, 64), "header too large: 9223372036854775808 bytes"],
  ["a length of 2^64-1", announcing(2n ** 64n - 1n, 64), "too large: 18446744073709551615 bytes"],
  ["a length 2^32 too long", announcing(2n ** 32n + 2n, 10), "header too large: 4294967298 bytes"],
  // 3: the header lies inside the file
  ["a length 1 too long", announcing(3n, 10), "invalid header length: 3 bytes announced, the fi"],
  ["100 MB in 8 bytes", announcing(100_000_000n, 8), "invalid header length: 100000000 bytes an"],
  // 4: UTF-8
  [
    "a byte outside UTF-8",
    rawFile(Uint8Array.of(0x7b, 0xff, 0x7d)),
    `${NO_JSON}Invalid UTF-8 at by`,
  ],
  [
    "half of a character first",
    rawFile(Uint8Array.of(0x7b, 0x80)),
    `${NO_JSON}Invalid UTF-8 at byte 1`,
  ],
  ["an overlong form", rawFile(Uint8Array.of(0x22, 0xc0, 0xa2, 0x22)), `${NO_UTF8} at byte 4`],
  ["bytes of a surrogate", rawFile(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)), NO_UTF8],
  ["half a character", rawFile(Uint8Array.of(0x22, 0xe2, 0x82, 0x22)), `${NO_UTF8} at byte 4`],
  // 5: one JSON document
  ["a length of 0", rawFile(""), `${NO_JSON}Expected a value, but the text ends at byte 0`],
  ["only spaces", rawFile("    "), `${NO_JSON}Expected a value, but the text ends at byte 4`],
  ["a byte order mark", rawFile("\ufeff{}"), `${NO_JSON}Expected a value at byte 0`],
  ["NUL padding", rawFile("{}\0\0"), `${NO_JSON}Text after the end of the document`],
  ["no-break space padding", rawFile("{}\xa0"), `${NO_JSON}Text after the end of the document`],
  ["a comment", rawFile("{/* */}"), `${NO_JSON}Expected a key in double quotes`],
  ["a trailing comma", rawFile('{"__metadata__":{},}'), `${NO_JSON}Expected a key`],
  ["a second document", rawFile("{}{}"), `${NO_JSON}Text after the end of the document`],
  ["a line break in a name", rawFile('{"a\nb":0}'), `${NO_JSON}Control character in a string`],
  ["a lone surrogate escape", rawFile('{"\\ud800":0}'), `${NO_JSON}Lone surrogate in a string`],
  [
    "an open end",
    rawFile('{"a"'),
    `${NO_JSON}Expected a colon after a key, but the text ends at byte 4`,
  ],
  // 6: nesting up to 4
  ["nesting of 5", oneTensor({ x: nestedField(5) }), `${NO_JSON}Nesting deeper than 4`],
  ["nesting of a million", rawFile("[".repeat(1e6)), `${NO_JSON}Nesting deeper than 4`],
  [
    "a number beyond a double",
    oneTensor({ x: "[1e999]" }),
    `${NO_JSON}Number out of range at byte`,
  ],
  // 7: the root is an object
  ["a list as root", rawFile("[]"), "invalid header: it is not a JSON object"],
  ["null as root", rawFile("null"), "invalid header: it is not a JSON object"],
  ["a string as root", rawFile('"a"'), "invalid header: it is not a JSON object"],
  // 8: metadata
  ["a number in metadata", rawFile('{"__metadata__":{"n":3}}'), 'entry "n" is not a string'],
  ["null in metadata", rawFile('{"__metadata__":{"n":null}}'), 'entry "n" is not a string'],
  ["a list as metadata", rawFile('{"__metadata__":[]}'), '"__metadata__" is not an object of str'],
  ["a string as metadata", rawFile('{"__metadata__":"pt"}'), '"__metadata__" is not an object'],
  [
    "a tensor named __metadata__",
    rawFile('{"__metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    '"__metadata__" entry "shape" is not a string',
  ],
  ["metadata twice", rawFile('{"__metadata__":{},"__metadata__":{}}'), 'key "__metadata__"'],
  ["a metadata key twice", rawFile('{"__metadata__":{"k":"1","k":"2"}}'), 'Duplicate key "k"'],
  // 9: fields of an entry
  ["no dtype", rawFile('{"a":{"shape":[0],"data_offsets":[0,0]}}'), 'missing field "dtype"'],
  ["no shape", rawFile('{"a":{"dtype":"U8","data_offsets":[0,0]}}'), 'missing field "shape"'],
  ["no data_offsets", rawFile('{"a":{"dtype":"U8","shape":[0]}}'), 'missing field "data_offsets"'],
  ["a field twice", oneTensor({ x: '0,"dtype":"F32"' }), `${NO_JSON}Duplicate key "dtype"`],
  ["a null entry", rawFile('{"a":null}'), 'tensor "a": its header entry is not an object'],
  ["an entry as a list", rawFile('{"a":["U8",[0],[0,0]]}'), "its header entry is not an object"],
  ["a name twice", rawFile(`{"a":${EMPTY},"a":${EMPTY}}`), `${NO_JSON}Duplicate key "a"`],
  [
    "a name twice, once escaped",
    rawFile(`{"a":${EMPTY},"\\u0061":${EMPTY}}`),
    `${NO_JSON}Duplicate key "a"`,
  ],
  // 10: dtype
  ["an unknown dtype", oneTensor({ dtype: '"Q4_0"' }), 'tensor "a": unknown dtype "Q4_0", expect'],
  ["a dtype in lower case", oneTensor({ dtype: '"f32"' }), 'unknown dtype "f32", expected one of'],
  ["dtype constructor", oneTensor({ dtype: '"constructor"' }), 'unknown dtype "constructor"'],
  ["dtype __proto__", oneTensor({ dtype: '"__proto__"' }), 'unknown dtype "__proto__"'],
  ["an empty dtype", oneTensor({ dtype: '""' }), 'unknown dtype "", expected one of BOOL F4'],
  ["a dtype as an object", oneTensor({ dtype: '{"F32":null}' }), "dtype is not a string"],
  ["a dtype as null", oneTensor({ dtype: "null" }), 'tensor "a": dtype is not a string'],
  // 11: non-negative integers
  ...["2.0", '"2"', "true", "null", "-2", "-0", "2e0", "2E0", "1e400", "[2]", "1".repeat(30)].map(
    (value): [string, Uint8Array, string] => [
      `the dimension ${value}`,
      oneTensor({ shape: `[${value}]` }),
      `tensor "a": shape ${NO_INTEGER}`,
    ],
  ),
  ["the dimension 2^64", oneTensor({ shape: "[18446744073709551616]" }), `shape ${NO_INTEGER}`],
  ["two negative dimensions", oneTensor({ shape: "[-1,-2]" }), `shape ${NO_INTEGER}`],
  ["a shape that is no list", oneTensor({ shape: "2" }), "shape is not a list of integers"],
  ["a shape as null", oneTensor({ shape: "null" }), "shape is not a list of integers"],
  ["an offset 8.0", oneTensor({ data_offsets: "[0,8.0]" }), `data_offsets ${NO_INTEGER}`],
  ["an offset -0", oneTensor({ data_offsets: "[-0,8]" }), `data_offsets ${NO_INTEGER}`],
  ["no offsets", oneTensor({ data_offsets: "[]" }), "data_offsets has 0 numbers, exactly 2"],
  ["one offset", oneTensor({ data_offsets: "[0]" }), "data_offsets has 1 numbers, exactly 2"],
  ["three offsets", oneTensor({ data_offsets: "[0,8,8]" }), "data_offsets has 3 numbers, exactly"],
  ["offsets in an object", oneTensor({ data_offsets: '{"0":0}' }), "data_offsets is not a list"],
  // 12: no hole, no overlap
  [
    "a hole at the start",
    ranges(9, [1, 9]),
    "invalid offset: its data begins at byte 1, expected 0",
  ],
  [
    "a hole between",
    ranges(9, [0, 4], [5, 9]),
    'tensor "b": invalid offset: its data begins at by',
  ],
  ["an overlap", ranges(8, [0, 4], [3, 8]), "its data begins at byte 3, expected 4"],
  ["a shared range", ranges(4, [0, 4], [0, 4]), "its data begins at byte 0, expected 4"],
  ["a range inside another", ranges(8, [0, 8], [2, 4]), "its data begins at byte 2, expected 8"],
  ["a reversed range", oneTensor({ data_offsets: "[8,0]" }), "end 0 is before begin 8"],
  ["an empty tensor past the end", ranges(4, [0, 4], [6, 6]), "begins at byte 6, expected 4"],
  ["an empty tensor inside another", ranges(4, [0, 4], [2, 2]), "begins at byte 2, expected 4"],
  // 13: sizes below 2^64, and below 2^53 where a double has to hold them
  ["2^32 x 2^32", oneTensor({ shape: "[4294967296,4294967296]" }), "overflow computing its size"],
  ["2^32 x 2^32 x 0", oneTensor({ shape: "[4294967296,4294967296,0]" }), "overflow computing its"],
  ["2^59 x 32 bits", oneTensor({ shape: "[576460752303423488]" }), "overflow computing its size"],
  [
    "the dimension 2^64-1 beside 0",
    oneTensor({ shape: "[0,18446744073709551615]", data_offsets: "[0,0]" }, 0),
    'tensor "a": dimension 18446744073709551615 is above 2^53-1',
  ],
  [
    "2^53+1 bytes in a range of 2^53",
    oneTensor({ dtype: '"U8"', shape: "[9007199254740993]", data_offsets: "[0,9007199254740992]" }),
    "needs 9007199254740993 bytes, data_offsets give 9007199254740992",
  ],
  [
    "an offset of 2^53",
    oneTensor({ shape: "[0]", data_offsets: "[9007199254740992,9007199254740992]" }, 0),
    'tensor "a": offset 9007199254740992 is above 2^53-1',
  ],
  // 14: whole bytes
  ["three F4", oneTensor({ dtype: '"F4"', shape: "[3]" }), "its 12 bits are not whole bytes"],
  ["three F6", oneTensor({ dtype: '"F6_E2M3"', shape: "[3]" }), "its 18 bits are not whole bytes"],
  // 15: range and shape agree
  [
    "too short a range",
    oneTensor({ shape: "[3]" }),
    "shape [3] of F32 needs 12 bytes, data_offsets",
  ],
  [
    "too long a range",
    oneTensor({ shape: "[1]" }),
    "shape [1] of F32 needs 4 bytes, data_offsets g",
  ],
  [
    "a range for an empty tensor",
    oneTensor({ shape: "[3,0]" }),
    "shape [3,0] of F32 needs 0 bytes",
  ],
  ["rank 100,000", oneTensor({ shape: `[${Array(1e5).fill(1)}]` }), "1,1,…] of F32 needs 4 bytes"],
  // 16: nothing after the last tensor
  ["a trailing byte", oneTensor({}, 9), UNCOVERED],
  ["a missing byte", oneTensor({}, 7), UNCOVERED],
  ["data without tensors", rawFile("{}", 1), UNCOVERED],
  // Another kind of file
  ["a Git LFS pointer", ascii("version https://git-lfs.github.com/spec/v1\n"), "run git lfs pull"],
  ["an HTML page", ascii("<!DOCTYPE html><title>404</title>"), "it looks like an HTML page: downl"],
  ["a zip pickle", ascii("PK\x03\x04\x14\x00\x00\x08data.pkl"), "it looks like a PyTorch pickle"],
  [
    "a bare pickle",
    Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 70),
    "a PyTorch pickle: con",
  ],
  ["a short pickle", Uint8Array.of(0x80, 4, 0x4e, 0x2e), "needed: it looks like a PyTorch pickle"],
  ["a GGUF file", ascii("GGUF\x03\x00\x00\x00\x00"), "it looks like a GGUF file: start from safet"],
  // Names in messages
  ["ANSI and bidi in a name", rawFile('{"\\u001b[31m\\u202e":0}'), '"\\u{1b}[31m\\u{202e}": its'],
  ["a bad name of 20 kB", rawFile(`{"${LONG}":0}`), `tensor "${LONG.slice(0, 200)}…": its header`],
  [
    "a name of 20 kB twice",
    rawFile(`{"${LONG}":${EMPTY},"${LONG}":0}`),
    'Duplicate key "nnnnnnnnnnnnnnnn',
  ],
];
