/**
 * Reads the header of a safetensors file: 8 bytes with its length N
 * (little-endian), N bytes of JSON, then the data. Every check the reference
 * reader makes is made here, once, before anything else looks at the file.
 */

import { BadInputError } from "../base/errors.ts";
import { escapeText, quote } from "../base/text.ts";
import { bitsPerElement, knownDtypes } from "./dtype.ts";
import { type JsonFeed, JsonSyntaxError } from "./json_feed.ts";
import { COST, HEADER_DEPTH } from "./json_limits.ts";
import { JsonReader } from "./json_reader.ts";

/** One tensor of a file. */
export interface TensorInfo {
  /** Name as stored; may hold any character. */
  name: string;
  /** One of the format's dtypes, upper case. */
  dtype: string;
  /** Dimensions, each 0 or more; empty for a scalar. */
  shape: number[];
  /** First byte of the data, counted from the start of the file. */
  begin: number;
  /** Byte after the last one. */
  end: number;
}

/** What a header says. */
export interface Header {
  /** Tensors in the order of their data. */
  tensors: TensorInfo[];
  /** The `__metadata__` entry; `undefined` where there is none. */
  metadata: Map<string, string> | undefined;
}

/** Largest header accepted and written, in bytes: the reference reader's limit. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes before the JSON. */
export const LENGTH_BYTES = 8;

/**
 * Reads the length of the JSON from the first bytes of a file and checks it
 * against the file's length, before anything is allocated.
 *
 * @param prefix The first 8 bytes, or all of a shorter file.
 * @param byteLength Length of the file in bytes.
 * @returns Length of the JSON in bytes.
 * @throws {BadInputError} Not a safetensors file, or cut short.
 */
export function readHeaderLength(prefix: Uint8Array, byteLength: number): number {
  if (byteLength === 0) throw new BadInputError("the file is empty: download or write it again");
  if (prefix.length < LENGTH_BYTES) {
    throw new BadInputError(
      `header too small: the file has ${byteLength} bytes, at least 8 are needed${
        describeContent(prefix)
      }`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new BadInputError(
      `header too large: ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed${
        describeContent(prefix)
      }`,
    );
  }
  if (LENGTH_BYTES + Number(length) > byteLength) {
    throw new BadInputError(
      `invalid header length: ${length} bytes announced, the file has ${byteLength}: it is cut short or damaged`,
    );
  }
  return Number(length);
}

/** Says what else a file looks like, from its first bytes; empty for nothing known. */
function describeContent(prefix: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(prefix);
  if (text.startsWith("version")) return ": it looks like a Git LFS pointer: run git lfs pull";
  if (/^\s*<(!doc|html|\?xml)/i.test(text)) {
    return ": it looks like an HTML page: download the file again";
  }
  if (text.startsWith("GGUF")) return ": it looks like a GGUF file: start from safetensors weights";
  const isPickle = prefix[0] === 0x80 && prefix[1]! >= 2 && prefix[1]! <= 5;
  if (text.startsWith("PK") || isPickle) {
    return ": it looks like a PyTorch pickle: convert it to safetensors";
  }
  return "";
}

/**
 * Parses and validates a header.
 *
 * @param json The N bytes of JSON, or what feeds them from a file.
 * @param jsonLength N.
 * @param byteLength Length of the whole file in bytes; the tensors must cover it exactly.
 * @throws {BadInputError} Any rule of the format is broken; the message names the tensor.
 */
export function parseHeader(json: JsonFeed, jsonLength: number, byteLength: number): Header {
  const reader = new JsonReader(json, HEADER_DEPTH);
  const dataStart = LENGTH_BYTES + jsonLength;
  const tensors: TensorInfo[] = [];
  let metadata: Header["metadata"];
  try {
    if (reader.peek() !== 0x7b) {
      reader.skipValue();
      reader.finish();
      throw new BadInputError("invalid header: it is not a JSON object");
    }
    reader.readObject((name) => {
      if (name === "__metadata__") metadata = readMetadata(reader);
      else tensors.push(readEntry(reader, name, dataStart));
    });
    reader.finish();
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new BadInputError(`invalid JSON in header: ${escapeText(error.message)}`);
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCover(tensors, dataStart, byteLength);
  return { tensors, metadata };
}

function readMetadata(reader: JsonReader): Header["metadata"] {
  if (reader.takeWord("null")) return undefined;
  if (reader.peek() !== 0x7b) {
    throw new BadInputError('invalid header: "__metadata__" is not an object of strings');
  }
  const metadata = new Map<string, string>();
  reader.readObject((key) => {
    if (reader.peek() !== 0x22) {
      throw new BadInputError(
        `invalid header: "__metadata__" entry ${quote(key)} is not a string`,
      );
    }
    reader.keep(COST.entry);
    metadata.set(key, reader.readText());
  });
  return metadata;
}

/** What is kept of a tensor besides its name and dimensions, in bytes. */
const TENSOR_BYTES = COST.object + 2 * COST.number + COST.list;

function readEntry(reader: JsonReader, name: string, dataStart: number): TensorInfo {
  const fail = (what: string): never => {
    throw new BadInputError(`tensor ${quote(name)}: ${what}`);
  };
  if (reader.peek() !== 0x7b) fail("its header entry is not an object");
  reader.keep(TENSOR_BYTES);
  let dtype: string | undefined;
  let shape: (number | bigint)[] | undefined;
  let offsets: (number | bigint)[] | undefined;
  reader.readObject((field) => {
    if (field === "shape") shape = readIntegers(reader, field, fail);
    else if (field === "data_offsets") offsets = readIntegers(reader, field, fail);
    else if (field !== "dtype") reader.skipValue();
    else if (reader.peek() === 0x22) dtype = reader.readText();
    else fail("dtype is not a string");
  });
  if (dtype === undefined) return fail('missing field "dtype"');
  if (shape === undefined) return fail('missing field "shape"');
  if (offsets === undefined) return fail('missing field "data_offsets"');
  const bits = bitsPerElement(dtype);
  if (bits === undefined) {
    return fail(`unknown dtype ${quote(dtype)}, expected one of ${knownDtypes().join(" ")}`);
  }
  if (offsets.length !== 2) {
    fail(`data_offsets has ${offsets.length} numbers, exactly 2 are needed`);
  }
  const [begin, end] = [BigInt(offsets[0]!), BigInt(offsets[1]!)];
  if (end < begin) fail(`invalid data_offsets: end ${end} is before begin ${begin}`);
  const size = byteSize(shape, bits, fail);
  if (end - begin !== size) {
    const shown = escapeText(shape.slice(0, SHOWN_DIMENSIONS).join(","));
    fail(`shape [${shown}] of ${dtype} needs ${size} bytes, data_offsets give ${end - begin}`);
  }
  return {
    name,
    dtype,
    shape: shape.map((value) => toSafe(value, "dimension", fail)),
    begin: dataStart + toSafe(begin, "offset", fail),
    end: dataStart + toSafe(end, "offset", fail),
  };
}

/** More would be cut anyway. */
const SHOWN_DIMENSIONS = 200;

type Fail = (what: string) => never;

function readIntegers(reader: JsonReader, field: string, fail: Fail): (number | bigint)[] {
  if (reader.peek() !== 0x5b) return fail(`${field} is not a list of integers`);
  const integers: (number | bigint)[] = [];
  reader.readList(() => {
    reader.keep(COST.openItem);
    integers.push(
      reader.readUnsigned() ??
        fail(`${field} holds something other than an integer from 0 to 2^64-1`),
    );
  });
  reader.keep((COST.item - COST.openItem) * integers.length);
  return integers;
}

/** Bytes of a tensor; every product is checked against u64 from left to right, as the reference does. */
function byteSize(shape: readonly (number | bigint)[], bits: number, fail: Fail): bigint {
  let size = 1n;
  const multiply = (factor: number | bigint) => {
    // There may be millions of them.
    if (factor === 1) return;
    size *= BigInt(factor);
    if (size >= 2n ** 64n) fail("overflow computing its size from shape and dtype");
  };
  shape.forEach(multiply);
  multiply(bits);
  if (size % 8n !== 0n) fail(`its ${size} bits are not whole bytes`);
  return size / 8n;
}

function toSafe(value: number | bigint, what: string, fail: Fail): number {
  if (value > Number.MAX_SAFE_INTEGER) fail(`${what} ${value} is above 2^53-1`);
  return Number(value);
}

/** The data must be covered from first to last byte: no hole, overlap or trailing byte. */
function checkCover(tensors: TensorInfo[], dataStart: number, byteLength: number): void {
  let expected = dataStart;
  for (const { name, begin, end } of tensors) {
    if (begin !== expected) {
      throw new BadInputError(
        `tensor ${quote(name)}: invalid offset: its data begins at byte ${begin - dataStart}, ` +
          `expected ${expected - dataStart}: the header leaves a hole or overlaps`,
      );
    }
    expected = end;
  }
  if (expected !== byteLength) {
    throw new BadInputError(
      `incomplete metadata, file not fully covered: tensors end at byte ${expected}, ` +
        `the file has ${byteLength}: it is cut short, or has trailing data`,
    );
  }
}
