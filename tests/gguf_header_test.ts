/** GGUF headers: what is written, what is read back, and what is refused. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  encodeGgufHeader,
  GGML_LIMITS,
  type NewGgufTensor,
} from "../lib/format/gguf/encode_header.ts";
import { readGgufHeader } from "../lib/format/gguf/read_header.ts";
import { plainTensorType } from "../lib/format/gguf/tensor_types.ts";
import type { GgufPair } from "../lib/format/gguf/value_types.ts";
import { openSource } from "../lib/safetensors/read.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { encodeFile, HOSTILE_GGUF, join, rawGguf } from "./hostile_gguf.ts";

/** A file in memory, and the longest piece of it that was asked for. */
function sourceOf(file: Uint8Array) {
  const source = {
    byteLength: file.length,
    reads: [] as number[],
    readInto(offset: number, out: Uint8Array): void {
      assert.ok(offset + out.length <= file.length, `${offset} + ${out.length}`);
      source.reads.push(out.length);
      out.set(file.subarray(offset, offset + out.length));
    },
  };
  return source;
}

const read = (file: Uint8Array) => readGgufHeader(sourceOf(file), "x.gguf");

const PAIRS: GgufPair[] = [
  { key: "general.architecture", type: "string", value: "flux" },
  { key: "u", type: "u32", value: 2 ** 32 - 1 },
  { key: "i", type: "i32", value: -2 },
  { key: "f", type: "f32", value: 0.5 },
  { key: "yes", type: "bool", value: true },
  { key: "no", type: "bool", value: false },
  { key: "texts", type: "strings", value: ["", "\u{1f600}", "\u0120a"] },
  { key: "us", type: "u32s", value: [1, 2 ** 31] },
  { key: "is", type: "i32s", value: [-1, 3] },
  { key: "fs", type: "f32s", value: [-0.25] },
];

const TENSORS: NewGgufTensor[] = [
  { name: "b", shape: [2, 64], type: 3, byteLength: 80 },
  { name: "a", shape: [3], type: 0, byteLength: 12 },
  { name: "d", shape: [], type: 30, byteLength: 2 },
  { name: "c", shape: [0, 4], type: 1, byteLength: 0 },
];

Deno.test("encodeGgufHeader() writes these bytes when given a pair of each kind and a tensor", () => {
  const { bytes, begins, byteLength } = encodeGgufHeader([
    { key: "s", type: "string", value: "\u00e9" },
    { key: "u", type: "u32", value: 7 },
    { key: "f", type: "f32", value: 1 },
    { key: "b", type: "bool", value: true },
    { key: "t", type: "strings", value: ["x", ""] },
    { key: "i", type: "i32s", value: [-1] },
  ], [{ name: "w", shape: [2, 64], type: 3, byteLength: 80 }]);
  const head = [
    ...join(0x46554747, 3, 1n, 6n, "s", 8, "\u00e9", "u", 4, 7, "f", 6, 0x3f800000),
    ...join("b", 7, Uint8Array.of(1), "t", 9, 8, 2n, "x", "", "i", 9, 5, 1n, 0xffffffff),
    ...join("w", 2, 64n, 2n, 3, 0n),
  ];
  assert.deepEqual([...bytes.subarray(0, head.length)], head);
  assert.equal(bytes.length, Math.ceil(head.length / 32) * 32);
  assert.ok(bytes.subarray(head.length).every((byte) => byte === 0));
  assert.deepEqual([...begins], [bytes.length]);
  assert.equal(byteLength, bytes.length + 96);
});

Deno.test("encodeGgufHeader() gives each tensor a multiple of 32, by name, in any order", () => {
  const expected = encodeGgufHeader(PAIRS, TENSORS);
  const { length } = expected.bytes;
  assert.deepEqual(
    Object.fromEntries(TENSORS.map(({ name }, i) => [name, expected.begins[i]! - length])),
    { a: 0, b: 32, c: 128, d: 128 },
  );
  assert.equal(expected.byteLength, length + 160);
  assert.deepEqual(encodeGgufHeader(PAIRS, TENSORS.toReversed()).bytes, expected.bytes);
});

Deno.test("readGgufHeader() reads what encodeGgufHeader() writes", () => {
  const { metadata, tensors } = read(encodeFile(PAIRS, TENSORS));
  assert.deepEqual([...metadata], PAIRS.map(({ key, value }) => [key, value]));
  const { begins } = encodeGgufHeader(PAIRS, TENSORS);
  const order = ["a", "c", "b", "d"].map((name) => TENSORS.find((one) => one.name === name)!);
  const beginOf = (tensor: NewGgufTensor) => begins[TENSORS.indexOf(tensor)]!;
  order.sort((a, b) => beginOf(a) - beginOf(b));
  assert.deepEqual(
    tensors,
    order.map((tensor) => {
      const { name, shape, type, byteLength } = tensor;
      const begin = beginOf(tensor);
      return { name, type, shape, begin, end: begin + byteLength };
    }),
  );
});

const REFUSED: [string, GgufPair[], NewGgufTensor[], string][] = [
  ["a key is used twice", [PAIRS[1]!, PAIRS[1]!], [], 'metadata "u": the key is already taken'],
  ["a name is used twice", [], [TENSORS[0]!, TENSORS[0]!], 'tensor "b": the name is already taken'],
  [
    "a name is too long for ggml",
    [],
    [{ ...TENSORS[0]!, name: "\u00e9".repeat(32) }],
    "its name has 64 bytes, ggml allows at most 63: rename it",
  ],
  [
    "a tensor has too many dimensions for ggml",
    [],
    [{ ...TENSORS[0]!, shape: [1, 1, 1, 2, 64] }],
    'tensor "b": it has 5 dimensions, ggml allows at most 4: reshape it',
  ],
];

for (const [when, pairs, tensors, message] of REFUSED) {
  Deno.test(`encodeGgufHeader() refuses to write when ${when}`, () => {
    assertBadInput(() => encodeGgufHeader(pairs, tensors, GGML_LIMITS), message);
  });
}

Deno.test("encodeGgufHeader() allows any name and shape when no limits are given", () => {
  const tensors = [{ ...TENSORS[0]!, name: "n".repeat(5000), shape: [1, 1, 1, 2, 64] }];
  const [tensor] = read(encodeFile([], tensors)).tensors;
  assert.deepEqual([tensor?.name, tensor?.shape], [tensors[0]!.name, tensors[0]!.shape]);
  const longest = [{ ...TENSORS[0]!, name: "n".repeat(63) }];
  assert.doesNotThrow(() => encodeGgufHeader([], longest, GGML_LIMITS));
});

for (const [what, file, message] of HOSTILE_GGUF) {
  Deno.test(`readGgufHeader() refuses the file when it has ${what}`, () => {
    assertBadInput(() => read(file), message);
    assertBadInput(() => read(file), 'Cannot read "x.gguf": ');
  });
}

Deno.test("readGgufHeader() refuses a file that is cut short at any byte", () => {
  const file = encodeFile(PAIRS, TENSORS.slice(0, 2));
  // The last tensor's padding is all that may be missing.
  const last = read(file).tensors.at(-1)!.end;
  for (let length = 0; length < last; length++) {
    assertBadInput(() => read(file.subarray(0, length)), 'Cannot read "x.gguf": ');
  }
  assert.doesNotThrow(() => read(file.subarray(0, last)));
});

Deno.test("readGgufHeader() reads or refuses a file in which any byte is another", () => {
  const file = encodeFile(PAIRS, TENSORS);
  for (let at = 0; at < file.length; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const damaged = file.slice();
      damaged[at] = damaged[at]! ^ flip;
      try {
        for (const { begin, end } of read(damaged).tensors) {
          assert.ok(begin <= end && end <= file.length);
        }
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "BadInputError") throw error;
      }
    }
  }
});

Deno.test("readGgufHeader() reads every kind of value, and 64 bits exactly", () => {
  const { metadata } = read(rawGguf([
    ["u8", 0, Uint8Array.of(255)],
    ["i8", 1, Uint8Array.of(255)],
    ["u16", 2, Uint8Array.of(1, 255)],
    ["i16", 3, Uint8Array.of(1, 255)],
    ["u64", 10, 2n ** 64n - 1n],
    ["i64", 11, 2n ** 64n - 1n],
    ["f64", 12, 0x3ff8_0000_0000_0000n],
    ["bools", 9, 7, 2n, Uint8Array.of(0, 1)],
    ["none", 9, 8, 0n],
  ], []));
  assert.deepEqual(Object.fromEntries(metadata), {
    u8: 255,
    i8: -1,
    u16: 0xff01,
    i16: -255,
    u64: 2n ** 64n - 1n,
    i64: -1n,
    f64: 1.5,
    bools: [false, true],
    none: [],
  });
});

Deno.test("readGgufHeader() takes the alignment of the file, and version 2", () => {
  const pairs = [["general.alignment", 4, 64], ["more", 4, 1]];
  const tensors = [["a", 1, 1n, 0, 0n], ["b", 1, 1n, 0, 64n]];
  const file = rawGguf(pairs, tensors, 200);
  file[4] = 2;
  assert.deepEqual(read(file).tensors.map(({ name, begin }) => [name, begin]), [
    ["a", 192],
    ["b", 256],
  ]);
});

Deno.test("readGgufHeader() reads in pieces and not the data when the file is long", () => {
  const words = Array.from({ length: 50_000 }, (_, i) => `word ${i}`);
  const file = encodeFile(
    [{ key: "tokens", type: "strings", value: words }, {
      key: "long",
      type: "string",
      value: "n".repeat(200_000),
    }],
    [{ name: "a", shape: [2 ** 22], type: 0, byteLength: 2 ** 24 }],
  );
  const source = sourceOf(file);
  const { metadata, tensors } = readGgufHeader(source, "x.gguf");
  assert.deepEqual(metadata.get("tokens"), words);
  assert.equal(metadata.get("long"), "n".repeat(200_000));
  assert.equal(tensors[0]!.end, file.length);
  assert.ok(source.reads.length < 25, `${source.reads.length} pieces`);
  assert.ok(Math.max(...source.reads) <= 200_000);
});

Deno.test("readGgufHeader() reads a file of another writer", () => {
  const path = fileURLToPath(new URL("./golden/formats/dream-q4_1.gguf", import.meta.url));
  const source = openSource(path, "dream");
  const { metadata, tensors } = readGgufHeader(source, "dream");
  source.close();
  assert.equal(metadata.get("general.architecture"), "dream");
  assert.equal(metadata.get("dream.attention.causal"), false);
  assert.equal(metadata.get("dream.attention.layer_norm_rms_epsilon"), Math.fround(1e-6));
  assert.equal(tensors.length, 15);
  assert.deepEqual(tensors[4], {
    name: "blk.0.ffn_gate.weight",
    type: 3,
    shape: [256, 64],
    begin: 44704,
    end: 54944,
  });
});

const KEPT: [string, number[], number, name?: string][] = [
  ["BF16", [4, 4], 30, "a.weight"],
  ["BF16", [4, 4], 0],
  ["BF16", [2, 2, 2, 2], 0, "a.weight"],
  ["BF16", [4], 0, "a.weight"],
  ["F16", [2, 2, 2], 1],
  ["F16", [], 0],
  ["F32", [4, 4], 0],
  ["F32", [4], 0],
  ["F64", [4], 28],
  ["I8", [4], 24],
  ["I16", [4, 4], 25],
  ["I32", [], 26],
  ["I64", [1], 27],
];

for (const [dtype, shape, type, name = "a"] of KEPT) {
  Deno.test(`plainTensorType() gives ${type} when ${name} is ${dtype} [${shape}]`, () => {
    assert.equal(plainTensorType({ name, dtype, shape }), type);
  });
}

Deno.test("plainTensorType() refuses a tensor when ggml has no such dtype", () => {
  for (const dtype of ["U8", "BOOL", "F8_E4M3", "U64"]) {
    assertBadInput(
      () => plainTensorType({ name: "a\n", dtype, shape: [1] }),
      `Cannot write tensor "a\\u{a}" to GGUF: its dtype is "${dtype}", expected one of F32 F16`,
    );
  }
});
