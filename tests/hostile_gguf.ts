/** GGUF files that are not well-formed, each with what the refusal has to say. */

import { encodeGgufHeader, type NewGgufTensor } from "../lib/format/gguf/encode_header.ts";
import type { GgufPair } from "../lib/format/gguf/value_types.ts";

/** Little-endian parts of a file: numbers of 32 bits, bigints of 64, texts with their length, raw bytes. */
export type Part = number | bigint | string | Uint8Array;

/** The bytes of the parts. */
export function join(...parts: Part[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "number") return [...new Uint8Array(Uint32Array.of(part).buffer)];
    if (typeof part === "bigint") return [...new Uint8Array(BigUint64Array.of(part).buffer)];
    if (typeof part !== "string") return [...part];
    const text = new TextEncoder().encode(part);
    return [...join(BigInt(text.length)), ...text];
  }));
}

const MAGIC = 0x46554747;

/** A file of these pairs and tensors, padded to 32 bytes, with so many bytes of data. */
export function rawGguf(
  pairs: Part[][],
  tensors: Part[][],
  dataBytes = 0,
  counts = [BigInt(tensors.length), BigInt(pairs.length)],
): Uint8Array {
  const head = join(MAGIC, 3, ...counts, ...pairs.flat(), ...tensors.flat());
  const file = new Uint8Array(Math.ceil(head.length / 32) * 32 + dataBytes);
  file.set(head);
  return file;
}

/** A tensor `a`: dimensions innermost first, F32 at offset 0 unless said otherwise. */
function tensor(dims: bigint[], type = 0, offset = 0n, name = "a"): Part[] {
  return [name, dims.length, ...dims, type, offset];
}

/** A file as the writer makes it, filled with zeros. */
export function encodeFile(pairs: GgufPair[], tensors: NewGgufTensor[]): Uint8Array {
  const { bytes, byteLength } = encodeGgufHeader(pairs, tensors);
  const file = new Uint8Array(byteLength);
  file.set(bytes);
  return file;
}

const bytes = (...values: number[]) => Uint8Array.of(...values);
const MAX = 2n ** 64n - 1n;

/** What is wrong, the file, a part of the message. */
export const HOSTILE_GGUF: [what: string, file: Uint8Array, message: string][] = [
  ["no byte", bytes(), "the magic number at byte 0 needs 4 bytes, the file ends after 0"],
  ["3 bytes", bytes(0x47, 0x47, 0x55), "the magic number at byte 0 needs 4 bytes, the file ends"],
  ["another magic", join("GGML"), 'it is not a GGUF file: it does not begin with "GGUF"'],
  ["no version", join(MAGIC), "the version at byte 4 needs 4 bytes, the file ends after 0"],
  ["version 1", join(MAGIC, 1, 0, 0), "GGUF version 1, expected 2 or 3"],
  ["version 4", join(MAGIC, 4, 0n, 0n), "GGUF version 4, expected 2 or 3"],
  [
    "big-endian numbers",
    join(MAGIC, 0x03000000, 0n, 0n),
    "version 50331648, expected 2 or 3: it is",
  ],
  // counts, held against what is left before anything is allocated
  [
    "2^64-1 tensors",
    rawGguf([], [], 64, [MAX, 0n]),
    `the number of tensors is ${MAX}, the file has`,
  ],
  [
    "one tensor too many",
    rawGguf([], [], 0, [1n, 0n]),
    "the number of tensors is 1, the file has 16 b",
  ],
  ["2^64-1 pairs", rawGguf([], [], 64, [0n, MAX]), `number of metadata pairs is ${MAX}, the file`],
  ["65537 pairs", rawGguf([], [], 13 * 65537, [0n, 65537n]), "65537 metadata pairs, at most 65536"],
  // texts
  ["a key of 2^64-1 bytes", rawGguf([[MAX, 0, 0]], []), `the length of metadata key 0 is ${MAX}`],
  ["a key of 2^63 bytes", rawGguf([[2n ** 63n, 0, 0]], []), `key 0 is ${2n ** 63n}, the file has`],
  [
    "a key beyond the end",
    rawGguf([[99n, 0, 0]], []),
    "length of metadata key 0 is 99, the file has 32",
  ],
  [
    "a key outside UTF-8",
    rawGguf([[2n, bytes(0xc0, 0x80), 4, 1]], []),
    "metadata key 0 is not UTF-8",
  ],
  ["a key twice", rawGguf([["k", 4, 1], ["k", 4, 1]], []), 'metadata "k" is there twice'],
  ["a line break in a key", rawGguf([["a\nb", 13, 1]], []), 'metadata "a\\u{a}b" has the type 13'],
  [
    "a text outside UTF-8",
    rawGguf([["k", 8, 1n, bytes(0xff)]], []),
    'metadata "k" is not UTF-8 text',
  ],
  [
    "bytes of a surrogate",
    rawGguf([["k", 8, 3n, bytes(0xed, 0xa0, 0x80)]], []),
    '"k" is not UTF-8',
  ],
  [
    "a text beyond the end",
    rawGguf([["k", 8, 999n]], []),
    'the length of metadata "k" is 999, the f',
  ],
  // values
  ["the type 13", rawGguf([["k", 13, 1]], []), 'metadata "k" has the type 13, expected 0 to 12'],
  [
    "a bool of 2",
    rawGguf([["k", 7, bytes(2)]], []),
    'metadata "k" is 2, expected 0 or 1 for a bool',
  ],
  [
    "an array in an array",
    rawGguf([["k", 9, 9, 1n, 4, 1n, 1]], []),
    "has the type 9, expected 0 to 12",
  ],
  [
    "an array of 2^64-1",
    rawGguf([["k", 9, 4, MAX]], []),
    `the length of metadata "k" is ${MAX}, the`,
  ],
  [
    "an array beyond the end",
    rawGguf([["k", 9, 4, 20n]], [], 8),
    'metadata "k" at byte 69 needs 4 ',
  ],
  [
    "an array of 17 million",
    rawGguf([["k", 9, 0, 2n ** 24n + 1n]], [], 2 ** 24 + 1),
    'metadata "k" has 16777217 elements, at most 16777216 are allowed in all',
  ],
  ["an alignment of 0", rawGguf([["general.alignment", 4, 0]], []), "is 0, expected a power of 2"],
  [
    "an alignment of 24",
    rawGguf([["general.alignment", 4, 24]], []),
    "is 24, expected a power of 2",
  ],
  ["an alignment of 2^31", rawGguf([["general.alignment", 4, 2 ** 31]], []), "up to 65536"],
  [
    "a text as alignment",
    rawGguf([["general.alignment", 8, "32"]], []),
    "is something else, expected",
  ],
  // tensors
  [
    "a name beyond the end",
    rawGguf([], [[999n, 0, 0, 0n]]),
    "length of the name of tensor 0 is 999",
  ],
  [
    "a name outside UTF-8",
    rawGguf([], [[1n, bytes(0x80), 0, 0, 0n]]),
    "the name of tensor 0 is not",
  ],
  ["9 dimensions", rawGguf([], [tensor(Array(9).fill(1n))], 32), 'tensor "a": it has 9 dimensions'],
  ["2^32-1 dimensions", rawGguf([], [["a", 2 ** 32 - 1, 0n]], 32), "it has 4294967295 dimensions"],
  ["a dimension of 2^64-1", rawGguf([], [tensor([MAX])], 32), `"a" is ${MAX}, above 2^53-1`],
  [
    "dimensions whose product is 2^64",
    rawGguf([], [tensor([2n ** 32n, 2n ** 32n])], 32),
    'tensor "a": it ends at byte 73786976294838206464 of the data, above 2^53-1',
  ],
  [
    "the type 2",
    rawGguf([], [tensor([32n], 2)], 32),
    "unknown type 2, expected one of 0 (F32) 1 (F16)",
  ],
  [
    "the type 2^32-1",
    rawGguf([], [tensor([1n], 2 ** 32 - 1)], 32),
    "unknown type 4294967295, expect",
  ],
  [
    "half a block",
    rawGguf([], [tensor([48n], 3)], 64),
    "a row of 48 elements is no whole number of Q4_1",
  ],
  [
    "half a big block",
    rawGguf([], [tensor([128n], 12)], 99),
    "a row of 128 elements is no whole numbe",
  ],
  ["an odd offset", rawGguf([], [tensor([1n], 0, 4n)], 64), "its offset 4 is no multiple of 32"],
  [
    "an offset of 2^64-32",
    rawGguf([], [tensor([1n], 0, MAX - 31n)], 64),
    "above 2^53-1: the file is",
  ],
  [
    "data beyond the end",
    rawGguf([], [tensor([9n])], 35),
    "it ends at byte 100, the file has 99: it is",
  ],
  [
    "a name twice",
    rawGguf([], [tensor([8n]), tensor([8n], 0, 32n)], 64),
    'tensor "a": the name is there twice',
  ],
  [
    "data that overlaps",
    rawGguf([], [tensor([9n]), tensor([8n], 0, 32n, "b")], 64),
    'tensor "b": its data begins at byte 128, before that of "a" ends, 132',
  ],
  [
    "data within other data",
    rawGguf([], [tensor([64n]), tensor([1n], 0, 32n, "b"), tensor([1n], 0, 96n, "c")], 256),
    'tensor "b": its data begins at byte 160, before that of "a" ends, 384',
  ],
];
