/** Model directories that are refused, each with what the refusal has to say. */

import { rawFile } from "./make_model.ts";
import { type Files, INDEX, index, sharded, weights } from "./tiny_models.ts";

const PLAIN_NAME = "only the plain name of a *.safetensors file in the same directory is allowed";

/** What is wrong, the files, a part of the message. */
export const HOSTILE_DIRECTORIES: [string, Files, string][] = [
  ["no file", {}, "expected model.safetensors, diffusion_pytorch_model.safetensors or shards"],
  ["only a .bin", { "pytorch_model.bin": "" }, ': convert "pytorch_model.bin" to safetensors fir'],
  [
    "a pipeline",
    { "transformer/m.safetensors": "" },
    ': there are some in "transformer": give that directory, or a pipeline with its model_index.json',
  ],
  [
    "two files and no index",
    { "a.safetensors": weights("a"), "b.safetensors": weights("b") },
    '2 safetensors files ("a.safetensors", "b.safetensors", …) and no model.safetensors.index',
  ],
  ["a directory as weights", { "model.safetensors/x": "" }, "No safetensors weights in"],
  [
    "a config that is no JSON",
    sharded({ "config.json": "SECRET" }),
    '"config.json": it is not val',
  ],
  [
    "a config that is a list",
    sharded({ "config.json": "[]" }),
    '"config.json": it is not a JSON o',
  ],
  [
    "a config that is no text",
    sharded({ "config.json": Uint8Array.of(0xff) }),
    "it is not valid JSON: Invalid UTF-8 at byte 0",
  ],
  ["a config with a key twice", sharded({ "config.json": '{"a":1,"a":2}' }), 'Duplicate key "a"'],
  ["an index that is no JSON", sharded({ [INDEX]: "SECRET" }), `"${INDEX}": it is not valid JSON`],
  ["an empty index", sharded({ [INDEX]: "" }), `Cannot read "${INDEX}": it is not valid JSON`],
  ["an index that is a list", sharded({ [INDEX]: "[]" }), "it is not a JSON object"],
  ["an index with a key twice", sharded({ [INDEX]: '{"weight_map":{"a":"","a":""}}' }), 'key "a"'],
  [
    "an index with NaN",
    sharded({ [INDEX]: '{"metadata":NaN}' }),
    "it is not valid JSON: Expected a",
  ],
  ["no weight_map", sharded({ [INDEX]: "{}" }), '"weight_map" is not an object'],
  ["a list as weight_map", sharded({ [INDEX]: index([]) }), '"weight_map" is not an object'],
  ["an empty weight_map", sharded({ [INDEX]: index({}) }), `"${INDEX}": "weight_map" is empty`],
  ["a text as metadata", sharded({ [INDEX]: index({}, { metadata: "" }) }), '"metadata" is not an'],
  ...[
    "../secret.safetensors",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../secret.safetensors",
    "sub/x.safetensors",
    "..\\secret.safetensors",
    "C:x.safetensors",
    "file:///secret.safetensors",
    "https://example.com/x.safetensors",
    "",
    ".safetensors",
    "..",
    ".x.safetensors",
    "pytorch_model.bin",
    "model-1.SAFETENSORS",
    "model-1.safetensors ",
    "model-1.safetensors\n",
  ].map(
    (name): [string, Files, string] => [
      `the shard name ${JSON.stringify(name)}`,
      sharded({ [INDEX]: index({ a: name }), "sub/x.safetensors": "", "pytorch_model.bin": "" }),
      `Cannot read "${INDEX}": tensor "a" is said to be in "${
        name.replace("\n", "\\u{a}")
      }": ${PLAIN_NAME}`,
    ],
  ),
  [
    "a shard name with NUL",
    sharded({ [INDEX]: index({ a: "model-1.safetensors\0.safetensors" }) }),
    `is said to be in "model-1.safetensors\\u{0}.safetensors": ${PLAIN_NAME}`,
  ],
  ...[3, null, true, ["model-1.safetensors"], { file: "model-1.safetensors" }].map(
    (value): [string, Files, string] => [
      `the shard name ${JSON.stringify(value)}`,
      sharded({ [INDEX]: index({ a: value }) }),
      `tensor "a" is said to be in something that is not a string: ${PLAIN_NAME}`,
    ],
  ),
  [
    "a missing shard",
    sharded({ [INDEX]: index({ a: "model-1.safetensors", c: "model-3.safetensors" }) }),
    `Cannot read "${INDEX}": shard "model-3.safetensors" is missing from the directory`,
  ],
  [
    "a directory as shard",
    sharded({ "x.safetensors/y": "", [INDEX]: index({ a: "x.safetensors" }) }),
    'shard "x.safetensors" is missing from the directory',
  ],
  [
    "a tensor missing from its shard",
    sharded({ "model-2.safetensors": weights("c") }),
    'tensor "b" is not in "model-2.safetensors", where the index puts it',
  ],
  [
    "a tensor in another shard",
    sharded({ [INDEX]: index({ a: "model-2.safetensors", b: "model-1.safetensors" }) }),
    'tensor "a" is not in "model-2.safetensors", where the index puts it, but in "model-1.safet',
  ],
  [
    "a tensor in two shards",
    sharded({ "model-2.safetensors": weights("a", "b") }),
    'tensor "a" is in two shards, "model-1.safetensors" and "model-2.safetensors"',
  ],
  [
    "an unlisted tensor",
    sharded({ "model-2.safetensors": weights("b", "c") }),
    'tensor "c" in "model-2.safetensors" is not listed: the index does not belong to these sha',
  ],
  [
    "a damaged last shard",
    sharded({ "model-2.safetensors": rawFile("{}", 1) }),
    'Cannot read "model-2.safetensors": incomplete metadata',
  ],
  [
    "an empty file",
    { "model.safetensors": "" },
    'Cannot read "model.safetensors": the file is empty: download or write it again',
  ],
  ["a file cut in its data", { "model.safetensors": weights("a").slice(0, -1) }, "it is cut short"],
  [
    "a file cut in its header",
    { "model.safetensors": weights("a").slice(0, 20) },
    "it is cut short",
  ],
  [
    "a Git LFS pointer in place of weights",
    { "model.safetensors": "version https://git-lfs\n" },
    "run git lfs pull",
  ],
  [
    "an HTML page in place of weights",
    { "model.safetensors": "<!DOCTYPE html>SECRET" },
    "it looks like an HTML page",
  ],
  [
    "a zip pickle in place of weights",
    { "model.safetensors": "PK\x03\x04\x14\0\0\bSECRET" },
    "it looks like a PyTorch",
  ],
];
