/** The metadata of a GGUF file: what a reader has to know before it looks at the tensors. */

import { BadInputError } from "../../base/errors.ts";
import { JsonNumber, type JsonValue } from "../../safetensors/scan_json.ts";
import { describeTokenizer, findAddedToken } from "./describe_tokenizer.ts";
import {
  type ConfigEntries,
  type Hyperparameters,
  readHyperparameters,
  readOptional,
} from "./read_hyperparameters.ts";
import {
  type Architecture,
  isLanguage,
  type LanguageArchitecture,
} from "./recognize_architecture.ts";
import type { GgufPair } from "./value_types.ts";

/** What a file is told about its model. */
export interface ModelDescription {
  /** See {@linkcode recognizeArchitecture}. */
  architecture: Architecture;
  /** Entries of config.json; needed for language models. */
  config: ConfigEntries | undefined;
  /** What tokenizer.json holds; looked at for language models. */
  tokenizer: JsonValue | undefined;
}

/** Version of ggml's block layouts. */
const QUANTIZATION_VERSION = 2;

/** The text LLaDA's tokenizer begins with; its config.json does not give the number. */
const LLADA_BEGIN = "<|startoftext|>";

/**
 * Describes a model. Nothing in it depends on where the model lies or when it was made.
 *
 * @throws {BadInputError} A language model whose config.json or tokenizer.json llama.cpp has no use for.
 */
export function describeModel(model: ModelDescription): GgufPair[] {
  const { architecture, config, tokenizer } = model;
  const general: GgufPair[] = [
    { key: "general.architecture", type: "string", value: architecture },
    { key: "general.quantization_version", type: "u32", value: QUANTIZATION_VERSION },
  ];
  if (!isLanguage(architecture)) return general;
  if (config === undefined) {
    throw new BadInputError(
      'Cannot write GGUF: "config.json" is missing, llama.cpp needs its sizes',
    );
  }
  const sizes = readHyperparameters(architecture, config);
  return [
    ...general,
    ...describeSizes(architecture, sizes),
    ...describeTokenizer(tokenizer, sizes.vocabularySize),
    ...describeTokens(architecture, sizes, config, tokenizer),
  ];
}

function describeSizes(architecture: LanguageArchitecture, sizes: Hyperparameters): GgufPair[] {
  const integer = (name: string, value: number): GgufPair => ({
    key: `${architecture}.${name}`,
    type: "u32",
    value,
  });
  const float = (name: string, value: number): GgufPair => ({
    key: `${architecture}.${name}`,
    type: "f32",
    value,
  });
  const pairs: GgufPair[] = [
    integer("context_length", sizes.contextLength),
    integer("embedding_length", sizes.embeddingLength),
    integer("block_count", sizes.blockCount),
    integer("feed_forward_length", sizes.feedForwardLength),
    integer("attention.head_count", sizes.headCount),
    integer("attention.head_count_kv", sizes.keyHeadCount),
    float("rope.freq_base", sizes.ropeBase),
    float("attention.layer_norm_rms_epsilon", sizes.normEpsilon),
    integer("vocab_size", sizes.vocabularySize),
    { key: `${architecture}.attention.causal`, type: "bool", value: false },
  ];
  if (architecture === "llada") {
    // LLaDA's logits at a position are about that token, Dream's about the next one.
    pairs.push(
      integer("rope.dimension_count", sizes.headRows),
      { key: "diffusion.shift_logits", type: "bool", value: false },
    );
  }
  return pairs;
}

/** Tokens with a meaning of their own. */
function describeTokens(
  architecture: LanguageArchitecture,
  { vocabularySize, maskToken }: Hyperparameters,
  config: ConfigEntries,
  tokenizer: JsonValue | undefined,
): GgufPair[] {
  const begin = readFirst(config, "bos_token_id") ??
    (architecture === "llada" ? findAddedToken(tokenizer, LLADA_BEGIN) : undefined);
  const ids: [key: string, id: number | undefined][] = [
    ["bos_token_id", begin],
    ["eos_token_id", readFirst(config, "eos_token_id")],
    ["padding_token_id", readFirst(config, "pad_token_id")],
    ["mask_token_id", maskToken],
  ];
  const pairs: GgufPair[] = [];
  for (const [name, id] of ids) {
    if (id === undefined) continue;
    if (id >= vocabularySize) {
      throw new BadInputError(
        `Cannot write GGUF: the ${name} of "config.json" is ${id}, ` +
          `expected one of the ${vocabularySize} tokens`,
      );
    }
    pairs.push({ key: `tokenizer.ggml.${name}`, type: "u32", value: id });
  }
  if (tokenizer !== undefined) {
    // LLaDA's texts begin with a token that says so, where it is known which.
    const value = architecture === "llada" && begin !== undefined;
    pairs.push({ key: "tokenizer.ggml.add_bos_token", type: "bool", value });
  }
  return pairs;
}

/** A token, or the first of several. */
function readFirst(config: ConfigEntries, key: string): number | undefined {
  const value = config.get(key);
  if (!Array.isArray(value)) return readOptional(config, key);
  const first = value[0];
  return first instanceof JsonNumber ? readOptional(new Map([[key, first]]), key) : undefined;
}
