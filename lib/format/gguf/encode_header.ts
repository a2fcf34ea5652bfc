/**
 * Lays out a GGUF file: what stands before the data, and where each tensor's data goes. The format is
 * specified in docs/gguf.md of ggml; version 3, little-endian.
 */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { compareNames, type EncodedHeader } from "../../safetensors/encode_header.ts";
import { type GgufPair, type GgufValue, MAGIC, VALUE_TYPES } from "./value_types.ts";

/** A tensor to be written. */
export interface NewGgufTensor {
  /** Name. */
  name: string;
  /** Dimensions, outermost first, as in safetensors. */
  shape: readonly number[];
  /** ggml's number of the type. */
  type: number;
  /** Size of the data in bytes. */
  byteLength: number;
}

/** What a reader allows of a tensor. */
export interface TensorLimits {
  /** Longest name in bytes. */
  nameBytes: number;
  /** Most dimensions. */
  dimensions: number;
}

/** What ggml itself allows, and so llama.cpp: names of 64 bytes with the NUL, see ggml.h. */
export const GGML_LIMITS: TensorLimits = { nameBytes: 63, dimensions: 4 };

/** The data, and each tensor's, begins at a multiple of so many bytes. */
export const ALIGNMENT = 32;

/**
 * Lays out a file: pairs in the order given, tensors by name, so that the same ones give the same bytes
 * in any order.
 *
 * @param limits What the readers of this file allow; without them anything goes.
 * @throws {BadInputError} A key or name is used twice, or a tensor is beyond the limits.
 */
export function encodeGgufHeader(
  pairs: readonly GgufPair[],
  tensors: readonly NewGgufTensor[],
  limits: TensorLimits = { nameBytes: Infinity, dimensions: Infinity },
): EncodedHeader {
  const out = startList();
  out.u32(MAGIC);
  out.u32(3);
  out.u64(tensors.length);
  out.u64(pairs.length);
  const keys = new Set<string>();
  for (const pair of pairs) {
    if (keys.has(pair.key)) {
      throw new BadInputError(`Cannot write metadata ${quote(pair.key)}: the key is already taken`);
    }
    keys.add(pair.key);
    out.text(pair.key);
    writeValue(out, pair);
  }
  const order = [...tensors.keys()].sort((a, b) => compareNames(tensors[a]!, tensors[b]!));
  const taken = new Set<string>();
  const begins = new Float64Array(tensors.length);
  let offset = 0;
  for (const i of order) {
    const tensor = tensors[i]!;
    checkTensor(tensor, taken, limits);
    taken.add(tensor.name);
    begins[i] = offset;
    out.text(tensor.name);
    out.u32(tensor.shape.length);
    for (const dimension of tensor.shape.toReversed()) out.u64(dimension);
    out.u32(tensor.type);
    out.u64(offset);
    offset = alignUp(offset + tensor.byteLength, ALIGNMENT);
  }
  const bytes = out.take(ALIGNMENT);
  for (let i = 0; i < begins.length; i++) begins[i]! += bytes.length;
  return { bytes, begins, byteLength: bytes.length + offset };
}

/** The next multiple of `alignment` from `value` on. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function checkTensor(
  { name, shape }: NewGgufTensor,
  taken: ReadonlySet<string>,
  { nameBytes, dimensions }: TensorLimits,
): void {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot write tensor ${quote(name)}: ${what}`);
  };
  if (taken.has(name)) fail("the name is already taken");
  const length = new TextEncoder().encode(name).length;
  if (length > nameBytes) {
    fail(`its name has ${length} bytes, ggml allows at most ${nameBytes}: rename it`);
  }
  if (shape.length > dimensions) {
    fail(`it has ${shape.length} dimensions, ggml allows at most ${dimensions}: reshape it`);
  }
}

function writeValue(out: ByteList, pair: GgufValue): void {
  switch (pair.type) {
    case "u32":
    case "i32":
    case "f32":
      out.u32(VALUE_TYPES[pair.type]);
      out.numbers([pair.value], pair.type);
      return;
    case "bool":
      out.u32(VALUE_TYPES.bool);
      out.bytes(Uint8Array.of(pair.value ? 1 : 0));
      return;
    case "string":
      out.u32(VALUE_TYPES.string);
      out.text(pair.value);
      return;
    case "strings":
      out.u32(VALUE_TYPES.array);
      out.u32(VALUE_TYPES.string);
      out.u64(pair.value.length);
      for (const text of pair.value) out.text(text);
      return;
    case "u32s":
      return writeNumbers(out, pair.value, "u32");
    case "i32s":
      return writeNumbers(out, pair.value, "i32");
    case "f32s":
      return writeNumbers(out, pair.value, "f32");
  }
}

type NumberType = "u32" | "i32" | "f32";

function writeNumbers(out: ByteList, values: readonly number[], type: NumberType): void {
  out.u32(VALUE_TYPES.array);
  out.u32(VALUE_TYPES[type]);
  out.u64(values.length);
  out.numbers(values, type);
}

const WORDS = { u32: Uint32Array, i32: Int32Array, f32: Float32Array };

/** Bytes written one after the other, little-endian; a tokenizer has some megabytes of them. */
interface ByteList {
  bytes(bytes: Uint8Array): void;
  u32(value: number): void;
  u64(value: number): void;
  numbers(values: readonly number[], type: NumberType): void;
  text(text: string): void;
  /** All of it, and zeros up to a multiple of `alignment`. */
  take(alignment: number): Uint8Array<ArrayBuffer>;
}

function startList(): ByteList {
  const encoder = new TextEncoder();
  let room = new Uint8Array(4096);
  let length = 0;
  const list: ByteList = {
    bytes(bytes) {
      const end = length + bytes.length;
      if (end > room.length) {
        const grown = new Uint8Array(Math.max(end, 2 * room.length));
        grown.set(room.subarray(0, length));
        room = grown;
      }
      room.set(bytes, length);
      length = end;
    },
    u32: (value) => list.numbers([value], "u32"),
    u64: (value) => list.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)),
    numbers: (values, type) => list.bytes(new Uint8Array(new WORDS[type](values).buffer)),
    text(text) {
      const bytes = encoder.encode(text);
      list.u64(bytes.length);
      list.bytes(bytes);
    },
    take(alignment) {
      const all = new Uint8Array(alignUp(length, alignment));
      all.set(room.subarray(0, length));
      return all;
    },
  };
  return list;
}
