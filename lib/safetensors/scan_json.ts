/**
 * Strict JSON from files of unknown origin as values. `JSON.parse` keeps the last of two equal keys, reads
 * `64.0` and `-0` as integers, rounds above 2^53 and quotes the file's content in its errors; each of these
 * has let a crafted safetensors header mean two things to two readers.
 */

import { feedText, type JsonFeed } from "./json_feed.ts";
import { COST, DOCUMENT_DEPTH } from "./json_limits.ts";
import { JsonReader } from "./json_reader.ts";

/** A number as it is written, so that a reader can tell `64` from `64.0`. */
export class JsonNumber {
  /** The literal. */
  readonly text: string;

  /** Wraps a JSON number literal. */
  constructor(text: string) {
    this.text = text;
  }

  /** The value as a non-negative integer below 2^64 written without sign, point and exponent, else `undefined`. */
  asUnsigned(): bigint | undefined {
    if (!/^\d{1,20}$/.test(this.text)) return undefined;
    const value = BigInt(this.text);
    return value < 2n ** 64n ? value : undefined;
  }
}

/** What a JSON text holds; objects are maps, so that no name is special and order is kept. */
export type JsonValue =
  | null
  | boolean
  | string
  | JsonNumber
  | JsonValue[]
  | Map<string, JsonValue>;

/** A value in a message, not yet quoted: lists and objects only by their kind, as they may be of any size. */
export function describeJson(value: JsonValue | undefined): string {
  if (value === undefined) return "missing";
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return "a list";
  return value instanceof Map ? "an object" : String(value);
}

/**
 * The value as `JSON.parse` would give it, each key an object's own, `__proto__` as well.
 */
export function plainJson(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(plainJson);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([key, part]) => [key, plainJson(part)]));
}

/** What {@linkcode scanJson} accepts beyond strict JSON. */
export interface ScanOptions {
  /** Accept `NaN`, `Infinity` and `-Infinity`, which Python's json module writes. Default: false. */
  allowNonFinite?: boolean;
}

const NON_FINITE = ["NaN", "Infinity", "-Infinity"];

/**
 * Reads one JSON document: no duplicate keys, no lone surrogates, no trailing text, nesting up to
 * {@linkcode DOCUMENT_DEPTH}, and no more values than memory has room for. White space around it is
 * accepted, and a byte order mark of a file.
 *
 * @param source The document's text, or what feeds it from a file.
 * @throws {JsonSyntaxError} The text is something else.
 */
export function scanJson(source: string | JsonFeed, options: ScanOptions = {}): JsonValue {
  const reader = openDocument(source);
  const open: JsonValue[] = [];
  let mostOpen = 0;

  function readValue(): JsonValue {
    switch (reader.peek()) {
      case 0x7b: {
        const entries = new Map<string, JsonValue>();
        reader.keep(COST.map);
        reader.readObject((key) => {
          reader.keep(COST.entry);
          entries.set(key, readValue());
        });
        return entries;
      }
      case 0x5b: {
        const from = open.length;
        reader.keep(COST.list);
        reader.readList(() => {
          open.push(readValue());
          if (open.length <= mostOpen) return reader.keep(COST.item);
          mostOpen = open.length;
          reader.keep(COST.item + COST.openItem);
        });
        return open.splice(from);
      }
      case 0x22:
        return reader.readText();
    }
    const word = readWord(reader);
    if (word !== undefined) return word;
    if (options.allowNonFinite) {
      const found = NON_FINITE.find((word) => reader.takeWord(word));
      if (found !== undefined) return new JsonNumber(found);
    }
    const literal = reader.readLiteral();
    reader.keep(COST.literal + literal.length);
    return new JsonNumber(literal);
  }

  const value = readValue();
  reader.finish();
  return value;
}

/** The keys of an object in their order, so that objects alike in it can be counted as such. */
interface Shape {
  next?: Map<string, Shape>;
}

/**
 * Reads one JSON document as {@linkcode scanJson} does, as `JSON.parse` would give it: each key an object's
 * own, `__proto__` as well.
 *
 * @param readNumber What a number literal stands for.
 * @throws {JsonSyntaxError} The text is something else.
 */
export function scanPlainJson(
  source: string | JsonFeed,
  readNumber: (literal: string) => number,
): unknown {
  const reader = openDocument(source);
  const empty: Shape = {};
  const open: unknown[] = [];
  let mostOpen = 0;

  function grow(shape: Shape, key: string): Shape {
    shape.next ??= new Map();
    let next = shape.next.get(key);
    if (next === undefined) {
      reader.keep(COST.shape);
      shape.next.set(key, next = {});
    }
    return next;
  }

  function readObject(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    let shape = empty;
    reader.keep(COST.object);
    reader.readObject((key) => {
      reader.keep(COST.value);
      shape = grow(shape, key);
      const value = readValue();
      if (typeof value === "number") reader.keep(COST.number);
      if (key !== "__proto__") object[key] = value;
      else {
        const own = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(object, key, own);
      }
    });
    return object;
  }

  function readList(): unknown[] {
    const from = open.length;
    let areNumbers = true;
    reader.keep(COST.list);
    reader.readList(() => {
      const item = readValue();
      areNumbers &&= typeof item === "number";
      open.push(item);
      reader.keep(typeof item === "number" && !areNumbers ? COST.item + COST.number : COST.item);
      if (open.length <= mostOpen) return;
      mostOpen = open.length;
      reader.keep(COST.openItem);
    });
    return areNumbers ? takeNumbers(open as number[], from) : open.splice(from);
  }

  function readValue(): unknown {
    switch (reader.peek()) {
      case 0x7b:
        return readObject();
      case 0x5b:
        return readList();
      case 0x22:
        return reader.readText();
    }
    const integer = reader.readShortInteger();
    if (integer !== undefined) return integer;
    const word = readWord(reader);
    return word === undefined ? readNumber(reader.readLiteral()) : word;
  }

  const value = readValue();
  reader.finish();
  return value;
}

/** Takes the last items of a list into one of their own, which holds numbers and no places of numbers. */
function takeNumbers(open: number[], from: number): number[] {
  const count = open.length - from;
  const numbers = new Array<number>(count);
  for (let i = 0; i < count; i++) numbers[i] = open[from + i]!;
  open.length = from;
  return numbers;
}

function readWord(reader: JsonReader): null | boolean | undefined {
  if (reader.takeWord("true")) return true;
  if (reader.takeWord("false")) return false;
  return reader.takeWord("null") ? null : undefined;
}

function openDocument(source: string | JsonFeed): JsonReader {
  if (typeof source === "string") return new JsonReader(feedText(source), DOCUMENT_DEPTH);
  const reader = new JsonReader(source, DOCUMENT_DEPTH);
  reader.skipMark();
  return reader;
}
