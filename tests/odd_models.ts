/** Models in one file that are odd and whole: a run takes each, and `verify` agrees. */

import { bitsPerElement, encodeFloats, knownDtypes } from "../lib/safetensors/dtype.ts";
import { encodeFile, matrix, noise, rawFile, type TestTensor } from "./make_model.ts";

/** The layer that every one of them has, so that there is something to quantize. */
const LAYER = matrix("layer.weight", 8, 16, noise(1));

/** Its entry in a header written by hand, and its bytes. */
const ENTRY = '"layer.weight":{"dtype":"F32","shape":[8,16],"data_offsets":[0,512]}';

/** A file whose header is this text, with the layer's data and so many bytes behind it. */
function byHand(header: string, more = 0): Uint8Array {
  const file = rawFile(header, 512 + more);
  file.set(LAYER.data, file.length - 512 - more);
  return file;
}

/** A tensor of zeros. */
function zeros(name: string, dtype: string, shape: number[]): TestTensor {
  const elements = shape.reduce((size, n) => size * n, 1);
  return { name, dtype, shape, data: new Uint8Array(elements * bitsPerElement(dtype)! / 8) };
}

const beside = (...tensors: TestTensor[]) => encodeFile([LAYER, ...tensors]);

/** A layer of its own whose values a function of their number gives. */
const valued = (value: (i: number) => number, dtype: "F32" | "F16" | "BF16" = "F32") =>
  beside({
    ...matrix("odd.weight", 8, 16, () => 0),
    dtype,
    data: encodeFloats(Float32Array.from({ length: 128 }, (_, i) => value(i)), dtype),
  });

const NAMES = [
  "__proto__",
  "constructor",
  "10",
  "",
  "a\0b",
  "<img src=x onerror=alert(1)>",
  "\u001b[31m\u202e",
  "new\nline",
  "\u00e9",
  "e\u0301",
  "\u{1f600}",
  "../../etc/passwd",
  "n".repeat(20_000),
];

/** What is odd about it, and its bytes. */
export const ODD_MODELS: [what: string, file: Uint8Array][] = [
  ...knownDtypes().map((dtype): [string, Uint8Array] => [
    `a tensor of ${dtype}`,
    beside(zeros("other", dtype, [2, 4])),
  ]),
  ...NAMES.map((name): [string, Uint8Array] => [
    `a tensor named ${JSON.stringify(name).slice(0, 40)}`,
    beside(zeros(name, "F32", [3])),
  ]),
  ...NAMES.filter((name) => name.length < 100).map((name): [string, Uint8Array] => [
    `a layer named ${JSON.stringify(name).slice(0, 40)}`,
    beside(matrix(`${name}.weight`, 4, 16, noise(2))),
  ]),
  ["a scalar", beside(zeros("other", "F32", []))],
  ["an empty tensor", beside(zeros("other", "F32", [0]))],
  ["an empty matrix", beside(zeros("other.weight", "F32", [0, 16]))],
  ["a matrix of no columns", beside(zeros("other.weight", "F32", [8, 0]))],
  ["one element", beside(zeros("other.weight", "F32", [1, 1]))],
  ["rank 40", beside(zeros("other", "U8", Array(40).fill(1)))],
  ["a convolution", beside(zeros("conv.weight", "F32", [4, 2, 3, 3]))],
  ["rows that the time groups do not divide", beside(matrix("other.weight", 7, 16, noise(3)))],
  ["columns that no block divides", beside(matrix("other.weight", 8, 13, noise(3)))],
  ["one column", beside(matrix("other.weight", 8, 1, noise(3)))],
  ["no metadata", byHand(`{${ENTRY}}`)],
  ["null metadata", byHand(`{"__metadata__":null,${ENTRY}}`)],
  ["metadata of strange keys", byHand(`{${ENTRY},"__metadata__":{"__proto__":"\\u0000","":""}}`)],
  ["white space around its header", byHand(`\r\n\t {${ENTRY}}\t\r\n `)],
  ["a field nobody knows", byHand(`{${ENTRY.slice(0, -1)},"x":[1.5e3,null]}}`)],
  ["escapes in its header", byHand(`{${ENTRY.replace("dtype", "dt\\u0079pe")}}`)],
  [
    "data at odd bytes",
    byHand(`{"z":{"dtype":"U8","shape":[1],"data_offsets":[512,513]},${ENTRY}} `, 1),
  ],
  ["zeros", valued(() => 0)],
  ["negative zeros", valued(() => -0)],
  ["one value again and again", valued(() => 0.3)],
  ["denormal values", valued((i) => i * 1e-42)],
  ["values of 2^100", valued((i) => (i - 64) * 2 ** 100)],
  ["an outlier", valued((i) => i === 5 ? 1e6 : noise(4)(i))],
  ["the largest F16", valued((i) => i % 2 ? 65504 : -65504, "F16")],
  ["the least F16", valued((i) => i * 2 ** -24, "F16")],
  ["values of BF16", valued(noise(5), "BF16")],
];
