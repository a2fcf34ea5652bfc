/** Turns tokens into text: byte-level BPE (Radford et al. 2019, GPT-2), which needs no merges for that. */

import { describeIoError } from "../../lib/base/describe_io_error.ts";
import { BadInputError } from "../../lib/base/errors.ts";
import { quote } from "../../lib/base/text.ts";

/** The bytes of each token, by its number; those of the mask read "[MASK]". */
export type Vocabulary = ReadonlyMap<number, Uint8Array>;

/**
 * Reads the vocabulary of a tokenizer.
 *
 * @param path A tokenizer.json whose model is a byte-level BPE.
 * @throws {BadInputError} It cannot be read, or is no such file.
 */
export function readVocabulary(path: string): Vocabulary {
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot read ${quote(path)}: ${what}`);
  };
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    return fail(describeIoError(error));
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail("it is not valid JSON");
  }
  const { model, added_tokens: added = [] } = (parsed ?? {}) as {
    model?: { vocab?: unknown };
    added_tokens?: { id: number; content: string }[];
  };
  const vocab = model?.vocab;
  if (typeof vocab !== "object" || vocab === null) return fail("its model has no vocab");
  const byteOf = mapCharacters();
  const vocabulary = new Map<number, Uint8Array>();
  for (const [token, id] of Object.entries(vocab)) {
    const bytes = [...token].map((character) =>
      byteOf.get(character) ?? fail(`its token ${quote(token)} is not made of bytes`)
    );
    vocabulary.set(id, Uint8Array.from(bytes));
  }
  for (const { id, content } of added) vocabulary.set(id, new TextEncoder().encode(content));
  return vocabulary;
}

/**
 * The byte that each character of a token stands for. Printable ones of Latin-1 stand for themselves; the
 * others are, in order, the characters from U+0100 on.
 */
function mapCharacters(): Map<string, number> {
  const isPrintable = (byte: number) =>
    byte >= 0x21 && byte <= 0x7e || byte >= 0xa1 && byte <= 0xff && byte !== 0xad;
  let next = 0x100;
  return new Map(
    Array.from({ length: 256 }, (_, byte): [string, number] => [
      String.fromCharCode(isPrintable(byte) ? byte : next++),
      byte,
    ]),
  );
}

/**
 * The text of tokens.
 *
 * @param ids Those that the vocabulary lacks stand for nothing.
 * @returns Text with U+FFFD where the bytes are not UTF-8, as where a character is cut.
 */
export function decodeTokens(vocabulary: Vocabulary, ids: Iterable<number>): string {
  const bytes = [...ids].flatMap((id) => [...vocabulary.get(id) ?? []]);
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
