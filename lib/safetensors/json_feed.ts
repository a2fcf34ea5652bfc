/** Where a JSON document comes from: bytes or a text in memory; `feedSource` of read.ts feeds one from a file. */

/** The text is not JSON as this reader accepts it; the message holds nothing of the text but a key. */
export class JsonSyntaxError extends SyntaxError {
  /** Always `"JsonSyntaxError"`. */
  override readonly name = "JsonSyntaxError";
}

/** Where a document comes from: fills a part of `into`, which has room for 32 KB, and says how many bytes; 0 at the end. */
export type JsonFeed = (into: Uint8Array) => number;

/** A document in memory. */
export function feedBytes(bytes: Uint8Array): JsonFeed {
  let at = 0;
  return (into) => {
    const part = bytes.subarray(at, at + into.length);
    into.set(part);
    at += part.length;
    return part.length;
  };
}

/**
 * A text in memory.
 *
 * @throws {JsonSyntaxError} It holds half a character.
 */
export function feedText(text: string): JsonFeed {
  if (!text.isWellFormed()) throw new JsonSyntaxError("Lone surrogate in the text");
  const encoder = new TextEncoder();
  let at = 0;
  return (into) => {
    // A pair that the end of the part would cut no longer fits: its half takes 3 bytes.
    const { read, written } = encoder.encodeInto(text.slice(at, at + into.length), into);
    at += read;
    return written;
  };
}
