/** The tokenizer of a language model as llama.cpp reads it, from a Hugging Face tokenizer.json. */

import { BadInputError } from "../../base/errors.ts";
import { countNouns, quote } from "../../base/text.ts";
import { JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { GgufPair } from "./value_types.ts";

/** Kinds of tokens, as llama.h numbers them. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * llama.cpp's names of the ways to split a text into words, by the expression that tokenizer.json has.
 * Splitting them otherwise gives other tokens, so that an unknown one is refused.
 */
const SPLITS = new Map([
  [
    String
      .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    "qwen2",
  ],
  [
    String
      .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    "llama-bpe",
  ],
  [
    String
      .raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    "bailingmoe",
  ],
]);

/** Most tokens written: the largest vocabularies have some 300,000. */
const MAX_TOKENS = 2 ** 22;

/** The split that is built into byte-level tokenizers: GPT-2's. */
const BUILT_IN = "gpt-2";

/**
 * Describes a tokenizer by bytes and merges.
 *
 * @param tokenizer What tokenizer.json holds; `undefined` where there is none: llama.cpp then runs the
 * model on token numbers alone.
 * @param vocabularySize Rows of the token table: tokens without a text get one that nothing matches.
 * @throws {BadInputError} It is a tokenizer of another kind, or contradicts itself.
 */
export function describeTokenizer(
  tokenizer: JsonValue | undefined,
  vocabularySize: number,
): GgufPair[] {
  if (tokenizer === undefined) {
    return [{ key: "tokenizer.ggml.model", type: "string", value: "none" }];
  }
  if (vocabularySize > MAX_TOKENS) {
    fail(`the vocabulary has ${vocabularySize} tokens, at most ${MAX_TOKENS} are allowed`);
  }
  const root = asMap(tokenizer, "it");
  const model = asMap(root.get("model"), '"model"');
  if (model.get("type") !== "BPE" || model.get("byte_fallback") === true) {
    fail('its model is not byte-level "BPE"');
  }
  const { tokens, types } = listTokens(root, model, vocabularySize);
  return [
    { key: "tokenizer.ggml.model", type: "string", value: "gpt2" },
    { key: "tokenizer.ggml.pre", type: "string", value: nameSplit(root.get("pre_tokenizer")) },
    { key: "tokenizer.ggml.tokens", type: "strings", value: tokens },
    { key: "tokenizer.ggml.token_type", type: "i32s", value: types },
    { key: "tokenizer.ggml.merges", type: "strings", value: listMerges(model) },
  ];
}

/** The number of an added token with this text; `undefined` where there is none. */
export function findAddedToken(
  tokenizer: JsonValue | undefined,
  content: string,
): number | undefined {
  const added = tokenizer instanceof Map ? tokenizer.get("added_tokens") : undefined;
  if (!Array.isArray(added)) return undefined;
  for (const token of added) {
    if (!(token instanceof Map) || token.get("content") !== content) continue;
    const id = token.get("id");
    const number = id instanceof JsonNumber ? id.asUnsigned() : undefined;
    if (number !== undefined) return Number(number);
  }
  return undefined;
}

function fail(what: string): never {
  throw new BadInputError(
    `Cannot write the tokenizer of "tokenizer.json" to GGUF: ${what}: ` +
      "move the file away to write the model without a tokenizer",
  );
}

function asMap(value: JsonValue | undefined, what: string): Map<string, JsonValue> {
  return value instanceof Map ? value : fail(`${what} is not an object`);
}

function asList(value: JsonValue | undefined, what: string): JsonValue[] {
  return Array.isArray(value) ? value : fail(`${what} is not a list`);
}

function listTokens(
  root: Map<string, JsonValue>,
  model: Map<string, JsonValue>,
  vocabularySize: number,
): { tokens: string[]; types: number[] } {
  const texts = new Map<number, string>();
  const types: number[] = [];
  const put = (text: string, id: JsonValue | undefined, type: number) => {
    const number = id instanceof JsonNumber ? id.asUnsigned() : undefined;
    if (number === undefined || number >= BigInt(vocabularySize)) {
      return fail(`token ${quote(text)} has no number below ${vocabularySize}`);
    }
    const index = Number(number);
    const other = texts.get(index) ?? text;
    if (other !== text) fail(`tokens ${quote(other)} and ${quote(text)} both have number ${index}`);
    texts.set(index, text);
    types[index] = type;
  };
  for (const [text, id] of asMap(model.get("vocab"), '"vocab"')) put(text, id, NORMAL);
  for (const token of asList(root.get("added_tokens") ?? [], '"added_tokens"')) {
    const entry = asMap(token, "an added token");
    const text = entry.get("content");
    if (typeof text !== "string") return fail("an added token has no text");
    put(text, entry.get("id"), entry.get("special") === true ? CONTROL : USER_DEFINED);
  }
  const tokens: string[] = [];
  for (let id = 0; id < vocabularySize; id++) {
    tokens.push(texts.get(id) ?? `[PAD${id}]`);
    types[id] ??= UNUSED;
  }
  const distinct = new Set(tokens).size;
  if (distinct !== tokens.length) {
    fail(`it has ${countNouns(tokens.length - distinct, "token")} with the text of another`);
  }
  return { tokens, types };
}

/** Each merge as one text, the two parts with a space between, whichever of two ways they are written. */
function listMerges(model: Map<string, JsonValue>): string[] {
  return asList(model.get("merges"), '"merges"').map((merge) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    const [left, right] = Array.isArray(parts) && parts.length === 2 ? parts : [];
    const isPart = (part: JsonValue | undefined) =>
      typeof part === "string" && part !== "" && !part.includes(" ");
    return isPart(left) && isPart(right)
      ? `${left} ${right}`
      : fail("a merge is not two texts without a space");
  });
}

/** llama.cpp's name of the way a text is split: one expression and then bytes, or bytes alone. */
function nameSplit(preTokenizer: JsonValue | undefined): string {
  const outer = asMap(preTokenizer, '"pre_tokenizer"');
  const steps = outer.get("type") === "Sequence"
    ? asList(outer.get("pretokenizers"), '"pretokenizers"').map((step) => asMap(step, "a step"))
    : [outer];
  const bytes = steps.at(-1);
  if (bytes?.get("type") !== "ByteLevel" || bytes.get("add_prefix_space") === true) {
    return fail('its "pre_tokenizer" does not end in "ByteLevel" without a space in front');
  }
  if (steps.length === 1 && bytes.get("use_regex") !== false) return BUILT_IN;
  const pattern = steps.length === 2 && bytes.get("use_regex") === false
    ? steps[0]!.get("pattern")
    : undefined;
  const expression = pattern instanceof Map ? pattern.get("Regex") : undefined;
  const name = typeof expression === "string" ? SPLITS.get(expression) : undefined;
  return name ?? fail('its "pre_tokenizer" splits texts in a way that llama.cpp has no name for');
}
