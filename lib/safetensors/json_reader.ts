/**
 * Reads JSON of unknown origin piece by piece: the one place that checks how deep, how large and how
 * strict it is. Memory does not grow with the length of the document, only with what is kept of it, and that
 * is counted: 60 MB of `[[],[],…` would take gigabytes.
 */

import { decodeAscii, isDigit, isPartOfNumber, isText, NUMBER, UTF8 } from "./json_bytes.ts";
import { type JsonFeed, JsonSyntaxError } from "./json_feed.ts";
import { COST, MAX_KEPT, MAX_TEXT } from "./json_limits.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Longest text that is kept once for all its places, in bytes, and how many of them. */
const SHARED_BYTES = 64;
const SHARED = 2 ** 10;

/** Digits of an integer that is exact whatever they are. */
const SHORT_DIGITS = 15;

/** Keys of an object that are searched one by one; more are a set. */
const FEW_KEYS = 16;

/** Reads one document from front to back; each call consumes a value or a part of one. */
export class JsonReader {
  readonly #feed: JsonFeed;
  readonly #maxDepth: number;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(2 ** 16);
  /** Where in `#bytes` the reader is, where they end, and where in the document they begin. */
  #at = 0;
  #end = 0;
  #offset = 0;
  #depth = 0;
  #kept = 0;
  readonly #shared: (string | undefined)[] = new Array(SHARED);

  /** @param maxDepth Deepest nesting accepted: 1 is a list or an object of plain values. */
  constructor(feed: JsonFeed, maxDepth: number) {
    this.#feed = feed;
    this.#maxDepth = maxDepth;
  }

  /** Fails at the place that the reader has come to. */
  fail(what: string): never {
    throw new JsonSyntaxError(`${what} at byte ${this.#offset + this.#at}`);
  }

  /** Counts memory that is kept of the document; a negative number is no longer kept. */
  keep(bytes: number): void {
    this.#kept += bytes;
    if (this.#kept > MAX_KEPT) {
      this.fail(`Too many values: they take more than the ${MAX_KEPT / 2 ** 20} MB allowed`);
    }
  }

  /** The byte that the next value begins with; -1 at the end. */
  peek(): number {
    for (;;) {
      if (this.#at >= this.#end && !this.#refill(this.#at)) return -1;
      const byte = this.#bytes[this.#at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at++;
    }
  }

  /** Passes by a byte order mark. */
  skipMark(): void {
    if (this.#startsWith("\xef\xbb\xbf")) this.#at += 3;
  }

  /** Checks that nothing follows. */
  finish(): void {
    if (this.peek() !== -1) this.#failAt("Text after the end of the document");
  }

  /** Consumes a word such as `true` if it is next. */
  takeWord(word: string): boolean {
    if (!this.#startsWith(word)) return false;
    this.#at += word.length;
    return true;
  }

  /**
   * Reads an object.
   *
   * @param visit Called with each key; has to consume its value.
   */
  readObject(visit: (key: string) => void): void {
    const open = "{".charCodeAt(0);
    if (this.peek() !== open) this.#failAt("Expected a value");
    this.#enter();
    const few: string[] = [];
    let many: Set<string> | undefined;
    for (let isFirst = true;; isFirst = false) {
      const byte = this.peek();
      if (isFirst && byte === 0x7d) break;
      if (byte !== QUOTE) this.#failAt("Expected a key in double quotes");
      const key = this.readText();
      if (many?.has(key) ?? few.includes(key)) this.fail(`Duplicate key ${JSON.stringify(key)}`);
      if (many !== undefined) {
        many.add(key);
        this.keep(COST.entry);
      } else if (few.push(key) > FEW_KEYS) many = new Set(few);
      if (this.peek() !== 0x3a) this.#failAt("Expected a colon after a key");
      this.#at++;
      visit(key);
      const next = this.peek();
      if (next === 0x7d) break;
      if (next !== 0x2c) this.#failAt("Expected a comma or a closing brace");
      this.#at++;
    }
    if (many !== undefined) this.keep(-COST.entry * (many.size - few.length));
    this.#leave();
  }

  /**
   * Reads a list.
   *
   * @param visit Called for each item; has to consume it.
   */
  readList(visit: () => void): void {
    if (this.peek() !== 0x5b) this.#failAt("Expected a value");
    this.#enter();
    for (let isFirst = true;; isFirst = false) {
      if (isFirst && this.peek() === 0x5d) break;
      visit();
      const next = this.peek();
      if (next === 0x5d) break;
      if (next !== 0x2c) this.#failAt("Expected a comma or a closing bracket");
      this.#at++;
    }
    this.#leave();
  }

  #enter(): void {
    if (++this.#depth > this.#maxDepth) this.fail(`Nesting deeper than ${this.#maxDepth}`);
    this.#at++;
  }

  #leave(): void {
    this.#at++;
    this.#depth--;
  }

  /** Reads a text, keeping it; short ones that come again are kept once. */
  readText(): string {
    if (this.peek() !== QUOTE) this.#failAt("Expected a value");
    let start = this.#at;
    let isEscaped = false;
    let isAscii = true;
    let hash = 0;
    let i = start + 1;
    for (let isAfterBackslash = false;; i++) {
      if (i >= this.#end) {
        const isMore = this.#refill(start);
        i -= start;
        start = 0;
        if (!isMore) {
          this.#at = this.#end;
          this.fail("Unterminated string");
        }
      }
      const byte = this.#bytes[i]!;
      if (byte >= 0x80) isAscii = false;
      hash = Math.imul(hash ^ byte, 0x01000193);
      if (isAfterBackslash) isAfterBackslash = false;
      else if (byte === QUOTE) break;
      else if (byte === BACKSLASH) isAfterBackslash = isEscaped = true;
      else if (byte < 0x20) {
        this.#at = i;
        this.fail("Control character in a string");
      }
    }
    if (i - start > MAX_TEXT + 1) this.#failLong();
    this.#at = i + 1;
    if (isAscii && !isEscaped && i - start <= SHARED_BYTES) {
      return this.#share(this.#bytes.subarray(start + 1, i), (hash ^ (hash >>> 16)) & (SHARED - 1));
    }
    return this.#keepText(this.#decode(this.#bytes.subarray(start, i + 1), isEscaped), isAscii);
  }

  #keepText(text: string, isAscii: boolean): string {
    this.keep(COST.text + (isAscii ? text.length : 2 * text.length));
    return text;
  }

  #share(bytes: Uint8Array, slot: number): string {
    const found = this.#shared[slot];
    if (found !== undefined && isText(bytes, found)) return found;
    const text = this.#keepText(decodeAscii(bytes), true);
    this.#shared[slot] = text;
    return text;
  }

  /** @param bytes With its quotes. */
  #decode(bytes: Uint8Array, isEscaped: boolean): string {
    let text: string;
    try {
      text = UTF8.decode(bytes);
    } catch {
      return this.fail("Invalid UTF-8 in a string");
    }
    if (!isEscaped) return text.slice(1, -1);
    try {
      text = JSON.parse(text) as string;
    } catch {
      return this.fail("Invalid escape in a string");
    }
    return text.isWellFormed() ? text : this.fail("Lone surrogate in a string");
  }

  /**
   * Reads a number of at most 15 digits, without sign, point and exponent.
   *
   * @returns `undefined` where something else is next; nothing is consumed then.
   */
  readShortInteger(): number | undefined {
    let byte = this.peek();
    // Almost all are far from the end of what was fed; the others can be read as well.
    if (!isDigit(byte) || this.#at + SHORT_DIGITS >= this.#end) return undefined;
    let i = this.#at;
    let value = 0;
    for (; isDigit(byte); byte = this.#bytes[++i]!) value = 10 * value + byte - 0x30;
    const digits = i - this.#at;
    const isLong = digits > SHORT_DIGITS || (digits > 1 && this.#bytes[this.#at] === 0x30);
    if (isLong || isPartOfNumber(byte)) return undefined;
    this.#at = i;
    return value;
  }

  /** Reads a number as it is written, without keeping it. */
  readLiteral(): string {
    this.peek();
    let start = this.#at;
    let i = start;
    for (;; i++) {
      if (i >= this.#end) {
        const isMore = this.#refill(start);
        i -= start;
        start = 0;
        if (!isMore) break;
      }
      if (!isPartOfNumber(this.#bytes[i]!)) break;
    }
    const found = NUMBER.exec(decodeAscii(this.#bytes.subarray(start, i)))?.[0];
    if (found === undefined) return this.#failAt("Expected a value");
    this.#at = start + found.length;
    return found;
  }

  /**
   * Reads a non-negative integer below 2^64, written without sign, point and exponent.
   *
   * @returns `undefined` where the value is something else; nothing is consumed then.
   */
  readUnsigned(): number | bigint | undefined {
    const short = this.readShortInteger();
    if (short !== undefined) return short;
    if (!isDigit(this.peek())) return undefined;
    const at = this.#offset + this.#at;
    const literal = this.readLiteral();
    if (/^\d{1,15}$/.test(literal)) return Number(literal);
    const value = /^\d{1,20}$/.test(literal) ? BigInt(literal) : 2n ** 64n;
    if (value < 2n ** 64n) return value;
    this.#at = at - this.#offset;
    return undefined;
  }

  /** Consumes any value, checking it as if it were read. */
  skipValue(): void {
    const kept = this.#kept;
    const byte = this.peek();
    if (byte === 0x7b) this.readObject(() => this.skipValue());
    else if (byte === 0x5b) this.readList(() => this.skipValue());
    else if (byte === QUOTE) this.readText();
    else if (!["true", "false", "null"].some((word) => this.takeWord(word))) {
      // The reference reader refuses what no double can hold, wherever it stands.
      if (!Number.isFinite(Number(this.readLiteral()))) this.fail("Number out of range");
    }
    this.#kept = kept;
  }

  #failLong(): never {
    return this.fail(`A text or number longer than ${MAX_TEXT / 2 ** 20} MB`);
  }

  #startsWith(word: string): boolean {
    if (this.#at < this.#end && this.#bytes[this.#at] !== word.charCodeAt(0)) return false;
    while (this.#end - this.#at < word.length) if (!this.#refill(this.#at)) return false;
    return isText(this.#bytes.subarray(this.#at, this.#at + word.length), word);
  }

  /** Says so where the text ends, or the byte that does not fit cannot be of a text at all. */
  #failAt(what: string): never {
    const byte = this.peek();
    if (byte === -1) return this.fail(`${what}, but the text ends`);
    return this.fail(byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4) ? what : "Invalid UTF-8");
  }

  /**
   * Reads more of the document behind what is there; bytes before `from` go, and what stood there is at 0 then.
   *
   * @returns Whether there is more.
   */
  #refill(from: number): boolean {
    const held = this.#end - from;
    if (held > MAX_TEXT + 1) this.#failLong();
    const into = held > this.#bytes.length / 2
      ? new Uint8Array(2 * this.#bytes.length)
      : this.#bytes;
    into.set(this.#bytes.subarray(from, this.#end));
    this.#bytes = into;
    this.#offset += from;
    this.#at -= from;
    const count = this.#feed(into.subarray(held));
    this.#end = held + count;
    return count > 0;
  }
}
