/**
 * A strict JSON reader for files of unknown origin. `JSON.parse` keeps the last
 * of two equal keys, reads `64.0` and `-0` as integers, rounds above 2^53 and
 * quotes the file's content in its errors; each of these has let a crafted
 * safetensors header mean two things to two readers.
 */

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

/** The text is not JSON as this reader accepts it; the message holds nothing of the text but a key. */
export class JsonSyntaxError extends SyntaxError {
  /** Always `"JsonSyntaxError"`. */
  override readonly name = "JsonSyntaxError";
}

/**
 * The value as `JSON.parse` would give it, each key an object's own, `__proto__` as well.
 *
 * @param readNumber What a number literal stands for.
 */
export function plainJson(
  value: JsonValue,
  readNumber: (literal: string) => number = Number,
): unknown {
  if (value instanceof JsonNumber) return readNumber(value.text);
  if (Array.isArray(value)) return value.map((item) => plainJson(item, readNumber));
  if (!(value instanceof Map)) return value;
  return Object.fromEntries(
    [...value].map(([key, part]) => [key, plainJson(part, readNumber)]),
  );
}

/** What {@linkcode scanJson} accepts beyond strict JSON. */
export interface ScanOptions {
  /** Accept `NaN`, `Infinity` and `-Infinity`, which Python's json module writes. Default: false. */
  allowNonFinite?: boolean;
}

/** Deepest nesting accepted, as in the reference reader (serde_json). */
const MAX_DEPTH = 128;

/**
 * Most values accepted, so that memory stays bounded: 100 MB of `{},{},…` would end the process.
 * An object counts for 8, as it takes that much more memory. A header of 100 MB has room for
 * 2 million tensors, each one object with 6 values or more.
 */
const MAX_VALUES = 2 ** 25;
const OBJECT_COST = 8;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const NON_FINITE = /NaN|-?Infinity/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Reads one JSON document: no duplicate keys, no lone surrogates, no trailing
 * text, nesting up to 128. Leading and trailing white space is accepted.
 *
 * @throws {JsonSyntaxError} The text is something else.
 */
export function scanJson(text: string, options: ScanOptions = {}): JsonValue {
  let at = 0;
  let depth = 0;
  let values = 0;

  function fail(what: string): never {
    throw new JsonSyntaxError(`${what} at character ${at}`);
  }

  function skipSpace(): void {
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }

  function readString(): string {
    const start = at++;
    let escaped = false;
    for (;;) {
      const code = text.charCodeAt(at);
      if (Number.isNaN(code)) fail("Unterminated string");
      if (code < 0x20) fail("Control character in a string");
      at++;
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    if (!escaped) return checkWellFormed(text.slice(start + 1, at - 1));
    try {
      return checkWellFormed(JSON.parse(text.slice(start, at)) as string);
    } catch (error) {
      if (error instanceof JsonSyntaxError) throw error;
      return fail("Invalid escape in a string");
    }
  }

  function checkWellFormed(value: string): string {
    return value.isWellFormed() ? value : fail("Lone surrogate in a string");
  }

  function readObject(): Map<string, JsonValue> {
    const entries = new Map<string, JsonValue>();
    at++;
    skipSpace();
    if (text[at] === "}") {
      at++;
      return entries;
    }
    for (;;) {
      skipSpace();
      if (text[at] !== '"') fail("Expected a key in double quotes");
      const key = readString();
      if (entries.has(key)) fail(`Duplicate key ${JSON.stringify(key)}`);
      skipSpace();
      if (text[at] !== ":") fail("Expected a colon after a key");
      at++;
      entries.set(key, readValue());
      skipSpace();
      const next = text[at];
      if (next !== "," && next !== "}") fail("Expected a comma or a closing brace");
      at++;
      if (next === "}") return entries;
    }
  }

  function readArray(): JsonValue[] {
    const items: JsonValue[] = [];
    at++;
    skipSpace();
    if (text[at] === "]") {
      at++;
      return items;
    }
    for (;;) {
      items.push(readValue());
      skipSpace();
      const next = text[at];
      if (next !== "," && next !== "]") fail("Expected a comma or a closing bracket");
      at++;
      if (next === "]") return items;
    }
  }

  function readNested<T>(read: () => T): T {
    if (++depth > MAX_DEPTH) fail(`Nesting deeper than ${MAX_DEPTH}`);
    const value = read();
    depth--;
    return value;
  }

  function readWord(word: string, value: JsonValue): JsonValue {
    if (!text.startsWith(word, at)) fail("Expected a value");
    at += word.length;
    return value;
  }

  function readValue(): JsonValue {
    skipSpace();
    values += text[at] === "{" ? OBJECT_COST : 1;
    if (values > MAX_VALUES) fail("Too many values for one document");
    switch (text[at]) {
      case "{":
        return readNested(readObject);
      case "[":
        return readNested(readArray);
      case '"':
        return readString();
      case "t":
        return readWord("true", true);
      case "f":
        return readWord("false", false);
      case "n":
        return readWord("null", null);
    }
    const found = match(NUMBER) ?? (options.allowNonFinite ? match(NON_FINITE) : undefined);
    return found === undefined ? fail("Expected a value") : new JsonNumber(found);
  }

  const value = readValue();
  skipSpace();
  if (at < text.length) fail("Text after the end of the document");
  return value;
}
