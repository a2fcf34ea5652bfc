/**
 * Reads a GGUF header value by value, a chunk of the file at a time. Every length is held against what is
 * left of the file before anything is allocated, and the sum of them against a limit.
 */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { ByteSource } from "../../safetensors/read.ts";
import { type ReadValue, VALUE_TYPES } from "./value_types.ts";

/** Largest header read, in bytes: tokenizers have about 10 MB. The same as for safetensors. */
const MAX_HEADER_BYTES = 100_000_000;

/** Most elements of all arrays together: an element of one byte takes eight once it is read. */
const MAX_ELEMENTS = 2 ** 24;

const CHUNK_BYTES = 65536;

/** Reads values one after the other; each call throws a BadInputError where the file has no such value. */
export interface ValueReader {
  /** Offset of the next byte. */
  position(): number;
  /** An unsigned integer of 32 bits. */
  u32(what: string): number;
  /** An unsigned integer of 64 bits, at most 2^53 - 1. */
  u64(what: string): number;
  /**
   * A number of entries yet to come.
   *
   * @param least Bytes of the shortest entry there is.
   */
  count(what: string, least: number): number;
  /** A length, then so many bytes of UTF-8. */
  text(what: string): string;
  /** A type, then a value. */
  value(key: string): ReadValue;
}

/** A reader that stands at the file's first byte. */
export function openValues(source: Pick<ByteSource, "byteLength" | "readInto">): ValueReader {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let chunk = new Uint8Array(0);
  /** Offset of the chunk's first byte, and of the next byte in it. */
  let start = 0;
  let at = 0;
  let elements = 0;

  function fail(what: string): never {
    throw new BadInputError(what);
  }

  /** The next bytes, of which the file must have that many. */
  function take(length: number, what: string): DataView {
    const from = start + at;
    if (length > source.byteLength - from) {
      fail(
        `${what} at byte ${from} needs ${length} bytes, the file ends after ${
          source.byteLength - from
        }: it is cut short or damaged`,
      );
    }
    if (from + length > MAX_HEADER_BYTES) {
      fail(`header too large: at most ${MAX_HEADER_BYTES} bytes are allowed before the tensors`);
    }
    if (at + length > chunk.length) {
      chunk = new Uint8Array(Math.min(Math.max(length, CHUNK_BYTES), source.byteLength - from));
      source.readInto(from, chunk);
      start = from;
      at = 0;
    }
    at += length;
    return new DataView(chunk.buffer, at - length, length);
  }

  function readBigInt(what: string): bigint {
    return take(8, what).getBigUint64(0, true);
  }

  function u64(what: string): number {
    const value = readBigInt(what);
    return value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : fail(`${what} is ${value}, above 2^53-1: the file is damaged`);
  }

  function count(what: string, least: number): number {
    const value = readBigInt(what);
    const left = source.byteLength - start - at;
    return value * BigInt(least) <= BigInt(left)
      ? Number(value)
      : fail(`${what} is ${value}, the file has ${left} bytes left for them: it is damaged`);
  }

  function text(what: string): string {
    const bytes = take(count(`the length of ${what}`, 1), what);
    try {
      return decoder.decode(bytes);
    } catch {
      return fail(`${what} is not UTF-8 text`);
    }
  }

  function scalar(type: number, what: string): ReadValue {
    switch (type) {
      case VALUE_TYPES.u8:
        return take(1, what).getUint8(0);
      case VALUE_TYPES.i8:
        return take(1, what).getInt8(0);
      case VALUE_TYPES.u16:
        return take(2, what).getUint16(0, true);
      case VALUE_TYPES.i16:
        return take(2, what).getInt16(0, true);
      case VALUE_TYPES.u32:
        return take(4, what).getUint32(0, true);
      case VALUE_TYPES.i32:
        return take(4, what).getInt32(0, true);
      case VALUE_TYPES.f32:
        return take(4, what).getFloat32(0, true);
      case VALUE_TYPES.bool: {
        const byte = take(1, what).getUint8(0);
        return byte <= 1 ? byte === 1 : fail(`${what} is ${byte}, expected 0 or 1 for a bool`);
      }
      case VALUE_TYPES.string:
        return text(what);
      case VALUE_TYPES.u64:
        return take(8, what).getBigUint64(0, true);
      case VALUE_TYPES.i64:
        return take(8, what).getBigInt64(0, true);
      case VALUE_TYPES.f64:
        return take(8, what).getFloat64(0, true);
    }
    return fail(`${what} has the type ${type}, expected 0 to 12, and no array inside an array`);
  }

  function u32(what: string): number {
    return take(4, what).getUint32(0, true);
  }

  function value(key: string): ReadValue {
    const what = `metadata ${quote(key)}`;
    const type = u32(`the type of ${what}`);
    if (type !== VALUE_TYPES.array) return scalar(type, what);
    const elementType = u32(`the element type of ${what}`);
    const length = count(`the length of ${what}`, 1);
    elements += length;
    if (elements > MAX_ELEMENTS) {
      fail(`${what} has ${length} elements, at most ${MAX_ELEMENTS} are allowed in all`);
    }
    const items: ReadValue[] = [];
    for (let i = 0; i < length; i++) items.push(scalar(elementType, what));
    return items;
  }

  return { position: () => start + at, u32, u64, count, text, value };
}
