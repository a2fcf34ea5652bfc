/** The metadata of GGUF files: sizes from config.json, tokens from tokenizer.json. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { describeModel, type ModelDescription } from "../lib/format/gguf/describe_model.ts";
import { readGgufHeader } from "../lib/format/gguf/read_header.ts";
import { openSource } from "../lib/safetensors/read.ts";
import { type JsonValue, scanJson } from "../lib/safetensors/scan_json.ts";
import { assertBadInput } from "./assert_bad_input.ts";

function jsonOf(value: unknown): JsonValue {
  return scanJson(JSON.stringify(value));
}

function configOf(value: Record<string, unknown>): Map<string, JsonValue> {
  const config = jsonOf(value);
  assert.ok(config instanceof Map);
  return config;
}

function describe(
  architecture: ModelDescription["architecture"],
  config: Record<string, unknown> | undefined,
  tokenizer?: unknown,
): [string, unknown][] {
  const pairs = describeModel({
    architecture,
    config: config && configOf(config),
    tokenizer: tokenizer === undefined ? undefined : jsonOf(tokenizer),
  });
  return pairs.map(({ key, value }) => [key, value]);
}

/** The model that `golden/formats/dream-q4_1.gguf` was made from. */
const DREAM = {
  hidden_size: 64,
  intermediate_size: 256,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 128,
  vocab_size: 64,
  mask_token_id: 63,
  bos_token_id: null,
  rms_norm_eps: 1e-6,
  rope_parameters: { rope_theta: 10000.0, rope_type: "default" },
  hidden_act: "silu",
};

const LLADA = {
  d_model: 64,
  n_layers: 2,
  n_heads: 4,
  n_kv_heads: 4,
  mlp_hidden_size: 160,
  max_sequence_length: 256,
  vocab_size: 10,
  embedding_size: 12,
  rms_norm_eps: 1e-5,
  rope_theta: 500000.0,
  mask_token_id: 11,
  eos_token_id: 9,
  activation_type: "silu",
  block_type: "llama",
};

Deno.test("describeModel() names the architecture when a model makes pictures", () => {
  const config = { architecture: "flux", config: undefined, tokenizer: undefined } as const;
  assert.deepEqual(describeModel(config), [
    { key: "general.architecture", type: "string", value: "flux" },
    { key: "general.quantization_version", type: "u32", value: 2 },
  ]);
});

Deno.test("describeModel() gives what llama.cpp has been seen to run when the model is Dream", () => {
  const source = openSource(
    fileURLToPath(new URL("./golden/formats/dream-q4_1.gguf", import.meta.url)),
    "dream",
  );
  const { metadata } = readGgufHeader(source, "dream");
  source.close();
  const given = new Map(describe("dream", DREAM));
  const epsilon = "dream.attention.layer_norm_rms_epsilon";
  assert.equal(given.get(epsilon), 1e-6);
  given.set(epsilon, Math.fround(1e-6));
  assert.deepEqual(given, metadata);
});

Deno.test("describeModel() gives LLaDA's sizes, its table's rows and that logits are not shifted", () => {
  assert.deepEqual(describe("llada", LLADA).slice(2), [
    ["llada.context_length", 256],
    ["llada.embedding_length", 64],
    ["llada.block_count", 2],
    ["llada.feed_forward_length", 160],
    ["llada.attention.head_count", 4],
    ["llada.attention.head_count_kv", 4],
    ["llada.rope.freq_base", 500000],
    ["llada.attention.layer_norm_rms_epsilon", 1e-5],
    ["llada.vocab_size", 12],
    ["llada.attention.causal", false],
    ["llada.rope.dimension_count", 16],
    ["diffusion.shift_logits", false],
    ["tokenizer.ggml.model", "none"],
    ["tokenizer.ggml.eos_token_id", 9],
    ["tokenizer.ggml.mask_token_id", 11],
  ]);
});

Deno.test("describeModel() fills in what a config may leave out", () => {
  const { rope_parameters: _, num_key_value_heads: __, mask_token_id: ___, ...rest } = DREAM;
  const given = new Map(describe("dream", { ...rest, eos_token_id: [5, 6], pad_token_id: [] }));
  assert.equal(given.get("dream.rope.freq_base"), 10000);
  assert.equal(given.get("dream.attention.head_count_kv"), 2);
  assert.equal(given.get("tokenizer.ggml.eos_token_id"), 5);
  assert.ok(!given.has("tokenizer.ggml.mask_token_id"));
  assert.ok(!given.has("tokenizer.ggml.padding_token_id"));
});

/** What is changed of a config, and a part of the message. */
const BAD_CONFIGS: [change: Record<string, unknown>, message: string][] = [
  [{ hidden_size: undefined }, '"hidden_size" is missing, expected an integer of 1 or more'],
  [{ hidden_size: null }, '"hidden_size" is missing'],
  [{ hidden_size: 0 }, '"hidden_size" is 0, expected 1 or more'],
  [{ hidden_size: 64.5 }, '"hidden_size" is not an integer from 0 to 2^32-1'],
  [{ hidden_size: -64 }, '"hidden_size" is not an integer'],
  [{ hidden_size: "64" }, '"hidden_size" is not an integer'],
  [{ vocab_size: 2 ** 32 }, '"vocab_size" is not an integer from 0 to 2^32-1'],
  [{ hidden_size: 66, num_attention_heads: 4 }, "4 heads for 1 of keys at a width of 66, expected"],
  [{ hidden_size: 6 }, "2 heads for 1 of keys at a width of 6, expected whole heads of an even w"],
  [{ num_attention_heads: 2, num_key_value_heads: 3 }, "2 heads for 3 of keys"],
  [{ head_dim: 16 }, '"head_dim" is 16, llama.cpp expects 32'],
  [{ rms_norm_eps: undefined }, '"rms_norm_eps" is missing'],
  [{ rms_norm_eps: 0 }, '"rms_norm_eps" is not a number above 0'],
  [{ rms_norm_eps: 1e-60 }, '"rms_norm_eps" is not a number above 0 that fits F32'],
  [{ rope_theta: 1e60 }, '"rope_theta" is not a number above 0 that fits F32'],
  [{ rope_theta: "x" }, '"rope_theta" is not a number above 0'],
  [
    { rope_scaling: { type: "yarn\n" } },
    'positions are scaled by "yarn\\u{a}", expected "default"',
  ],
  [{ rope_scaling: { rope_type: "linear" } }, 'positions are scaled by "linear"'],
  [{ hidden_act: "gelu" }, '"hidden_act" is "gelu", llama.cpp computes "silu" only'],
  [{ hidden_act: ["SECRET"] }, '"hidden_act" is "?", llama.cpp'],
  [{ use_sliding_window: true }, '"use_sliding_window" is "true", llama.cpp computes "false" only'],
  [
    { mask_token_id: 64 },
    'the mask_token_id of "config.json" is 64, expected one of the 64 tokens',
  ],
  [{ bos_token_id: -1 }, '"bos_token_id" is not an integer'],
];

for (const [change, message] of BAD_CONFIGS) {
  Deno.test(`describeModel() refuses a config when it has ${JSON.stringify(change)}`, () => {
    assertBadInput(() => describe("dream", { ...DREAM, ...change }), message);
  });
}

Deno.test("describeModel() refuses LLaDA when it is built in a way that llama.cpp does not compute", () => {
  for (
    const change of [{ block_type: "sequential" }, { layer_norm_type: "default" }, { rope: false }]
  ) {
    const [key, value] = Object.entries(change)[0]!;
    assertBadInput(
      () => describe("llada", { ...LLADA, ...change }),
      `"${key}" is "${value}", llama.cpp computes`,
    );
  }
});

Deno.test("describeModel() refuses a language model when it has no config", () => {
  assertBadInput(() => describe("dream", undefined), 'Cannot write GGUF: "config.json" is missing');
});

const QWEN2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const LLAMA_3 = QWEN2.replace("\\p{N}| ", "\\p{N}{1,3}| ");
const BAILING =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

const BYTES = { type: "ByteLevel", add_prefix_space: false, use_regex: false };

function split(expression: string, ...rest: unknown[]) {
  const pattern = { Regex: expression };
  return { type: "Sequence", pretokenizers: [{ type: "Split", pattern }, ...rest, BYTES] };
}

const TOKENIZER = {
  added_tokens: [
    { id: 3, content: "<|startoftext|>", special: true },
    { id: 5, content: "<think>", special: false },
    { id: 1, content: "b", special: false },
  ],
  pre_tokenizer: split(QWEN2),
  model: {
    type: "BPE",
    vocab: { a: 0, b: 1, ab: 2, "\u0120": 4 },
    merges: ["a b", ["\u0120", "a"]],
  },
};

const SMALL = { ...DREAM, vocab_size: 8, mask_token_id: 7 };

Deno.test("describeModel() writes each token, its kind and the merges when there is a tokenizer", () => {
  const given = describe("dream", SMALL, TOKENIZER);
  assert.deepEqual(given.slice(given.findIndex(([key]) => key === "tokenizer.ggml.model")), [
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "qwen2"],
    [
      "tokenizer.ggml.tokens",
      ["a", "b", "ab", "<|startoftext|>", "\u0120", "<think>", "[PAD6]", "[PAD7]"],
    ],
    ["tokenizer.ggml.token_type", [1, 4, 1, 3, 1, 4, 5, 5]],
    ["tokenizer.ggml.merges", ["a b", "\u0120 a"]],
    ["tokenizer.ggml.mask_token_id", 7],
    ["tokenizer.ggml.add_bos_token", false],
  ]);
});

Deno.test("describeModel() has LLaDA's texts begin with a token when it is known which", () => {
  const given = new Map(describe("llada", LLADA, TOKENIZER));
  assert.equal(given.get("tokenizer.ggml.bos_token_id"), 3);
  assert.equal(given.get("tokenizer.ggml.add_bos_token"), true);
  const other = new Map(describe("llada", LLADA, { ...TOKENIZER, added_tokens: [] }));
  assert.ok(!other.has("tokenizer.ggml.bos_token_id"));
  assert.equal(other.get("tokenizer.ggml.add_bos_token"), false);
  const named = new Map(describe("llada", { ...LLADA, bos_token_id: 0 }, TOKENIZER));
  assert.equal(named.get("tokenizer.ggml.bos_token_id"), 0);
});

for (
  const [name, pre_tokenizer] of [
    ["qwen2", split(QWEN2)],
    ["llama-bpe", split(LLAMA_3)],
    ["bailingmoe", split(BAILING)],
    ["gpt-2", { type: "ByteLevel", add_prefix_space: false, use_regex: true }],
  ] as const
) {
  Deno.test(`describeModel() says ${name} when texts are split that way`, () => {
    const given = new Map(describe("dream", SMALL, { ...TOKENIZER, pre_tokenizer }));
    assert.equal(given.get("tokenizer.ggml.pre"), name);
  });
}

const { model } = TOKENIZER;

/** What a tokenizer has instead, and a part of the message. */
const BAD_TOKENIZERS: [tokenizer: unknown, message: string][] = [
  [[], "it is not an object: move the file away to write the model without a tokenizer"],
  [{ ...TOKENIZER, model: undefined }, '"model" is not an object'],
  [{ ...TOKENIZER, model: { ...model, type: "Unigram" } }, 'its model is not byte-level "BPE"'],
  [{ ...TOKENIZER, model: { ...model, byte_fallback: true } }, 'its model is not byte-level "BPE"'],
  [{ ...TOKENIZER, model: { ...model, vocab: ["a"] } }, '"vocab" is not an object'],
  [{ ...TOKENIZER, model: { ...model, vocab: { "x\n": 8 } } }, '"x\\u{a}" has no number below 8'],
  [{ ...TOKENIZER, model: { ...model, vocab: { x: -1 } } }, 'token "x" has no number below 8'],
  [{ ...TOKENIZER, model: { ...model, vocab: { x: "1" } } }, 'token "x" has no number below 8'],
  [{ ...TOKENIZER, model: { ...model, vocab: { x: 2, y: 2 } } }, '"x" and "y" both have number 2'],
  [{ ...TOKENIZER, added_tokens: [{ id: 0, content: "z" }] }, '"a" and "z" both have number 0'],
  [
    { ...TOKENIZER, added_tokens: [{ id: 7, content: "a" }] },
    "it has 1 token with the text of another",
  ],
  [
    { ...TOKENIZER, added_tokens: [{ id: 7, content: "[PAD6]" }] },
    "it has 1 token with the text of another",
  ],
  [{ ...TOKENIZER, added_tokens: [{ id: 7 }] }, "an added token has no text"],
  [{ ...TOKENIZER, added_tokens: [7] }, "an added token is not an object"],
  [{ ...TOKENIZER, added_tokens: {} }, '"added_tokens" is not a list'],
  [{ ...TOKENIZER, model: { ...model, merges: undefined } }, '"merges" is not a list'],
  [
    { ...TOKENIZER, model: { ...model, merges: ["ab"] } },
    "a merge is not two texts without a space",
  ],
  [{ ...TOKENIZER, model: { ...model, merges: ["a b c"] } }, "a merge is not two texts"],
  [{ ...TOKENIZER, model: { ...model, merges: [["a b", "c"]] } }, "a merge is not two texts"],
  [{ ...TOKENIZER, model: { ...model, merges: [["a", 1]] } }, "a merge is not two texts"],
  [{ ...TOKENIZER, pre_tokenizer: null }, '"pre_tokenizer" is not an object'],
  [{ ...TOKENIZER, pre_tokenizer: { type: "Whitespace" } }, 'does not end in "ByteLevel"'],
  [
    { ...TOKENIZER, pre_tokenizer: { ...BYTES, add_prefix_space: true } },
    "without a space in front",
  ],
  [{ ...TOKENIZER, pre_tokenizer: BYTES }, "splits texts in a way that llama.cpp has no name for"],
  [{ ...TOKENIZER, pre_tokenizer: split("\\s+") }, "splits texts in a way that llama.cpp has no n"],
  [{ ...TOKENIZER, pre_tokenizer: split(QWEN2, { type: "Digits" }) }, "splits texts in a way that"],
];

for (const [tokenizer, message] of BAD_TOKENIZERS) {
  Deno.test(`describeModel() refuses a tokenizer of which it says: ${message}`, () => {
    assertBadInput(() => describe("dream", SMALL, tokenizer), message);
  });
}

Deno.test("describeModel() refuses a vocabulary when it is larger than any", () => {
  assertBadInput(
    () => describe("dream", { ...DREAM, vocab_size: 2 ** 32 - 1 }, TOKENIZER),
    "the vocabulary has 4294967295 tokens, at most 4194304 are allowed",
  );
});
