/** Model directories: the layouts that are read. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Model, openModel } from "../lib/model/open_model.ts";
import { withFiles } from "./make_model.ts";
import { type Files, INDEX, index, sharded, weights } from "./tiny_models.ts";

/** Shards with their tensors, in order. */
const contents = (model: Model) =>
  model.shards.map(({ name, tensors }) => [name, ...tensors.map((tensor) => tensor.name)]);

// What the directory holds, its files, the shards read, the files left out.
const LAYOUTS: [string, Files, string[][], string[]][] = [
  ["a single file", { "model.safetensors": weights("a") }, [["model.safetensors", "a"]], []],
  [
    "a diffusers file",
    { "diffusion_pytorch_model.safetensors": weights("a") },
    [["diffusion_pytorch_model.safetensors", "a"]],
    [],
  ],
  ["one file of any name", { "x.safetensors": weights("a") }, [["x.safetensors", "a"]], []],
  ["shards", sharded(), [["model-1.safetensors", "a"], ["model-2.safetensors", "b"]], []],
  [
    "diffusers shards",
    {
      "diffusion_pytorch_model-00001-of-00001.safetensors": weights("a"),
      "diffusion_pytorch_model.safetensors.index.json": index({
        a: "diffusion_pytorch_model-00001-of-00001.safetensors",
      }),
    },
    [["diffusion_pytorch_model-00001-of-00001.safetensors", "a"]],
    [],
  ],
  [
    "an index of any name",
    {
      "x-1.safetensors": weights("a"),
      "y.safetensors": weights("b"),
      "x.safetensors.index.json": index({ a: "x-1.safetensors" }),
    },
    [["x-1.safetensors", "a"]],
    ["y.safetensors"],
  ],
  [
    "a single file beside shards",
    sharded({ "model.safetensors": weights("c") }),
    [["model.safetensors", "c"]],
    ["model-1.safetensors", "model-2.safetensors", INDEX],
  ],
  [
    "both preferred names",
    {
      "diffusion_pytorch_model.safetensors": weights("b"),
      "model.safetensors": weights("a"),
    },
    [["model.safetensors", "a"]],
    ["diffusion_pytorch_model.safetensors"],
  ],
  [
    "half-precision variants",
    {
      "diffusion_pytorch_model.fp16.safetensors": weights("b"),
      "diffusion_pytorch_model.safetensors": weights("a"),
      "diffusion_pytorch_model.safetensors.index.fp16.json": "{}",
    },
    [["diffusion_pytorch_model.safetensors", "a"]],
    [
      "diffusion_pytorch_model.safetensors.index.fp16.json",
      "diffusion_pytorch_model.fp16.safetensors",
    ],
  ],
  [
    "weights in other formats",
    {
      "model.safetensors": weights("a"),
      "pytorch_model.bin": "SECRET",
      "pytorch_model.bin.index.json": "{",
      "onnx/model.onnx": "SECRET",
      "vae/model.safetensors": "SECRET",
    },
    [["model.safetensors", "a"]],
    [
      "onnx/model.onnx",
      "pytorch_model.bin",
      "pytorch_model.bin.index.json",
      "vae/model.safetensors",
    ],
  ],
];

for (const [what, files, shards, leftOut] of LAYOUTS) {
  Deno.test(`openModel() finds the weights when the directory holds ${what}`, () =>
    withFiles(files, (directory) => {
      const model = openModel(directory);
      assert.deepEqual(contents(model), shards);
      assert.deepEqual(model.leftOut, leftOut);
    }));
}

Deno.test("openModel() describes the model when it has a config and side files", () =>
  withFiles({
    "model/config.json": '\ufeff{"a":NaN,"__proto__":1}',
    "model/model.safetensors": weights("a"),
    "model/tokenizer.json": "{",
    "model/sub/b.txt": "",
    "model/.gitattributes": "",
    "model/.cache/x.json": "",
  }, (directory) => {
    const model = openModel(`${directory}/model/../model/`);
    assert.equal(model.name, "model");
    assert.equal(model.directory, join(directory, "model"));
    assert.equal(model.config!.text, '{"a":NaN,"__proto__":1}');
    assert.deepEqual([...model.config!.entries.keys()], ["a", "__proto__"]);
    assert.deepEqual(model.sideFiles, ["sub/b.txt", "tokenizer.json"]);
    assert.equal(model.index, undefined);
    const [shard] = model.shards;
    assert.deepEqual(shard!.metadata, new Map([["format", "pt"]]));
    assert.equal(shard!.byteLength, Deno.statSync(shard!.path).size);
    assert.equal(shard!.tensors[0]!.end, shard!.byteLength);
  }));

Deno.test("openModel() has no config when there is none", () =>
  withFiles({ "model.safetensors": weights("a") }, (directory) => {
    assert.equal(openModel(directory).config, undefined);
  }));

// The index's metadata is passed on as it is; a wrong or missing total_size does no harm.
const METADATA: [string, Record<string, unknown>, string[]][] = [
  ["a wrong total_size", { metadata: { total_size: 1 } }, ["total_size"]],
  ["an odd total_size", { metadata: { total_size: "8 GB", x: null } }, ["total_size", "x"]],
  ["no metadata", { metadata: undefined }, []],
  ["null metadata", { metadata: null }, []],
];

for (const [what, more, keys] of METADATA) {
  Deno.test(`openModel() reads the index when it has ${what}`, () =>
    withFiles({ "x.safetensors": weights("a"), [INDEX]: index({ a: "x.safetensors" }, more) }, (
      directory,
    ) => {
      const model = openModel(directory);
      assert.equal(model.index!.name, INDEX);
      assert.deepEqual([...model.index!.metadata.keys()], keys);
    }));
}

Deno.test("openModel() keeps tensors apart when their names differ only in normal form", () =>
  withFiles({
    "1.safetensors": weights("\u00e9", "__proto__"),
    "2.safetensors": weights("e\u0301", "constructor"),
    [INDEX]: `{"weight_map":{"\u00e9":"1.safetensors","e\u0301":"2.safetensors",` +
      `"__proto__":"1.safetensors","constructor":"2.safetensors"}}`,
  }, (directory) => {
    assert.deepEqual(contents(openModel(directory)), [
      ["1.safetensors", "__proto__", "\u00e9"],
      ["2.safetensors", "constructor", "e\u0301"],
    ]);
  }));
