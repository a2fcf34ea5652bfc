/** The sizes of a language model as config.json gives them, and what llama.cpp takes for granted about it. */

import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { describeJson, JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import type { LanguageArchitecture } from "./recognize_architecture.ts";

/** Entries of config.json. */
export type ConfigEntries = ReadonlyMap<string, JsonValue>;

/** Sizes of a language model; integers from 1 to 2^32 - 1 but for the last three. */
export interface Hyperparameters {
  /** Longest text in tokens. */
  contextLength: number;
  /** Width of a token between layers. */
  embeddingLength: number;
  /** Layers. */
  blockCount: number;
  /** Width inside a feed-forward part. */
  feedForwardLength: number;
  /** Heads of queries. */
  headCount: number;
  /** Heads of keys and values; divides `headCount`. */
  keyHeadCount: number;
  /** Rows of one head; even. */
  headRows: number;
  /** Rows of the token table. */
  vocabularySize: number;
  /** Base of the angles of positions; above 0. */
  ropeBase: number;
  /** What is added to a mean square before its root; above 0. */
  normEpsilon: number;
  /** Token that stands for one yet to be found, where the config names it. */
  maskToken: number | undefined;
}

/** Keys of config.json, of which the first that is there counts. */
const KEYS: Record<LanguageArchitecture, Record<string, string[]>> = {
  dream: {
    contextLength: ["max_position_embeddings"],
    embeddingLength: ["hidden_size"],
    blockCount: ["num_hidden_layers"],
    feedForwardLength: ["intermediate_size"],
    headCount: ["num_attention_heads"],
    keyHeadCount: ["num_key_value_heads", "num_attention_heads"],
    vocabularySize: ["vocab_size"],
  },
  llada: {
    contextLength: ["max_sequence_length"],
    embeddingLength: ["d_model"],
    blockCount: ["n_layers"],
    feedForwardLength: ["mlp_hidden_size"],
    headCount: ["n_heads"],
    keyHeadCount: ["n_kv_heads", "n_heads"],
    vocabularySize: ["embedding_size", "vocab_size"],
  },
};

/** What llama.cpp computes whatever the config says: other values would make it compute something else. */
const GRANTED: Record<LanguageArchitecture, [key: string, value: string | boolean][]> = {
  dream: [["hidden_act", "silu"], ["use_sliding_window", false]],
  llada: [
    ["activation_type", "silu"],
    ["block_type", "llama"],
    ["layer_norm_type", "rms"],
    ["rope", true],
    ["alibi", false],
    ["attention_layer_norm", false],
    ["input_emb_norm", false],
    ["scale_logits", false],
  ],
};

/**
 * Reads the sizes of a language model.
 *
 * @throws {BadInputError} One is missing or impossible, or the model is of a kind llama.cpp does not compute.
 */
export function readHyperparameters(
  architecture: LanguageArchitecture,
  config: ConfigEntries,
): Hyperparameters {
  checkGranted(architecture, config);
  const keys = KEYS[architecture];
  const size = (field: string) => readSize(config, keys[field] ?? []);
  const embeddingLength = size("embeddingLength");
  const headCount = size("headCount");
  const keyHeadCount = size("keyHeadCount");
  const headRows = embeddingLength / headCount;
  if (headRows % 2 !== 0 || headCount % keyHeadCount !== 0) {
    fail(
      `${headCount} heads for ${keyHeadCount} of keys at a width of ${embeddingLength}, ` +
        "expected whole heads of an even width",
    );
  }
  const headWidth = readOptional(config, "head_dim") ?? headRows;
  if (headWidth !== headRows) fail(`"head_dim" is ${headWidth}, llama.cpp expects ${headRows}`);
  return {
    contextLength: size("contextLength"),
    embeddingLength,
    blockCount: size("blockCount"),
    feedForwardLength: size("feedForwardLength"),
    headCount,
    keyHeadCount,
    headRows,
    vocabularySize: size("vocabularySize"),
    ropeBase: readRopeBase(config),
    normEpsilon: readPositive(config, "rms_norm_eps") ??
      fail('"rms_norm_eps" is missing, expected a number above 0'),
    maskToken: readOptional(config, "mask_token_id"),
  };
}

function fail(what: string): never {
  throw new BadInputError(`Cannot write GGUF from "config.json": ${what}`);
}

function checkGranted(architecture: LanguageArchitecture, config: ConfigEntries): void {
  for (const [key, expected] of GRANTED[architecture]) {
    const value = config.get(key) ?? expected;
    if (value === expected) continue;
    const shown = typeof value === "string" || typeof value === "boolean" ? String(value) : "?";
    fail(`${quote(key)} is ${quote(shown)}, llama.cpp computes ${quote(String(expected))} only`);
  }
}

/** An integer from 0 to 2^32 - 1; `undefined` where the entry is missing or null. */
export function readOptional(config: ConfigEntries, key: string): number | undefined {
  const value = config.get(key) ?? undefined;
  if (value === undefined) return undefined;
  const integer = value instanceof JsonNumber ? value.asUnsigned() : undefined;
  return integer !== undefined && integer < 2n ** 32n
    ? Number(integer)
    : fail(`${quote(key)} is not an integer from 0 to 2^32-1`);
}

function readSize(config: ConfigEntries, keys: readonly string[]): number {
  for (const key of keys) {
    const value = readOptional(config, key);
    if (value !== undefined) {
      return value > 0 ? value : fail(`${quote(key)} is 0, expected 1 or more`);
    }
  }
  return fail(`${keys.map(quote).join(" or ")} is missing, expected an integer of 1 or more`);
}

/** A number above 0 that F32 holds; `undefined` where the entry is missing or null. */
function readPositive(entries: ConfigEntries, key: string): number | undefined {
  const value = entries.get(key) ?? undefined;
  if (value === undefined) return undefined;
  const number = value instanceof JsonNumber ? Math.fround(Number(value.text)) : NaN;
  return number > 0 && Number.isFinite(number)
    ? Number(value instanceof JsonNumber ? value.text : NaN)
    : fail(`${quote(key)} is not a number above 0 that fits F32`);
}

/** Older configs have `rope_theta` at the top, newer ones in `rope_parameters`; 10000 where it is missing. */
function readRopeBase(config: ConfigEntries): number {
  const scaling = config.get("rope_scaling") ?? config.get("rope_parameters") ?? null;
  const entries = scaling instanceof Map ? scaling : new Map<string, JsonValue>();
  const kind = entries.get("rope_type") ?? entries.get("type") ?? "default";
  if (kind !== "default") {
    fail(
      `positions are scaled by ${
        quote(describeJson(kind))
      }, expected "default": unset "rope_scaling"`,
    );
  }
  return readPositive(config, "rope_theta") ?? readPositive(entries, "rope_theta") ?? 10000;
}
