/** Links in a model directory: the Hugging Face cache works, everything that leads outside is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { openModel } from "../lib/model/open_model.ts";
import { assertBadInput } from "./assert_bad_input.ts";
import { withFiles } from "./make_model.ts";
import { weights } from "./tiny_models.ts";

const WEIGHTS = weights("a.weight");
const HASH = "0123456789abcdef".repeat(4);
const COMMIT = "0123456789".repeat(4);

/** A file of a Hugging Face cache and what its link points to. */
type Link = [from: string, to: string];

/** A directory `model`, something beside it, and links made in `model`. */
async function withLinks(links: Link[], use: (model: string) => void): Promise<void> {
  await withFiles({
    "model/model.safetensors": WEIGHTS,
    "model/sub/note.txt": "",
    "secret.json": '"SECRET"',
    "secret.safetensors": WEIGHTS,
    "outside/x.txt": "SECRET",
    "model-2/x.safetensors": WEIGHTS,
    [`blobs/${HASH}`]: WEIGHTS,
  }, (directory) => {
    const model = join(directory, "model");
    for (const [from, to] of links) {
      Deno.symlinkSync(to.replace("DIR", directory), join(model, from));
    }
    use(model);
  });
}

const leaves = "the link leaves the model directory: replace it with the file itself";

// What links where, and a part of the message.
const REFUSED: [string, Link, string][] = [
  [
    "weights link outside",
    ["x.safetensors", "../secret.safetensors"],
    `"x.safetensors": ${leaves}`,
  ],
  ["weights link to an absolute path", ["x.safetensors", "DIR/secret.safetensors"], leaves],
  ["an index links outside", ["model.safetensors.index.json", "../secret.json"], leaves],
  ["the config links outside", ["config.json", "../secret.json"], `"config.json": ${leaves}`],
  [
    "a side file links outside",
    ["tokenizer.json", "../secret.json"],
    `"tokenizer.json": ${leaves}`,
  ],
  ["a nested side file links outside", ["sub/x", "../../secret.json"], `"sub/x": ${leaves}`],
  ["a directory links outside", ["dir", "../outside"], `"dir": ${leaves}`],
  ["a link goes to the parent", ["up", ".."], `"up": ${leaves}`],
  ["a neighbour's name begins alike", ["x.safetensors", "../model-2/x.safetensors"], leaves],
  ["a link goes out and in again", ["x", "../secret.json/../model/sub/note.txt"], '"x"'],
  ["a link goes to a device", ["model.safetensors.index.json", "/dev/zero"], leaves],
  ["blobs are not a cache's", ["x.safetensors", `../blobs/${HASH}`], leaves],
  [
    "a link dangles",
    ["x.safetensors", "none"],
    '"x.safetensors" in the model directory: no such fi',
  ],
  [
    "a link loops",
    ["x.safetensors", "x.safetensors"],
    '"x.safetensors" in the model directory: too',
  ],
  ["a name has ANSI", ["\x1b[31m", "../secret.json"], `"\\u{1b}[31m": ${leaves}`],
];

for (const [what, link, message] of REFUSED) {
  Deno.test(`listModelFiles() refuses the directory when ${what}`, () =>
    withLinks([link], (model) => {
      assertBadInput(() => openModel(model), message);
    }));
}

Deno.test("listModelFiles() follows links when they stay in the directory", () =>
  withLinks([
    ["config.json", "sub/config"],
    ["sub/config", "../real.cfg"],
    ["absolute.txt", "DIR/model/sub/note.txt"],
    ["again", "sub"],
    ["here", "."],
  ], (model) => {
    Deno.writeTextFileSync(join(model, "real.cfg"), '{"x":1}');
    const { config, sideFiles, leftOut } = openModel(model);
    assert.equal(config!.text, '{"x":1}');
    assert.deepEqual(sideFiles, ["absolute.txt", "real.cfg", "sub/config", "sub/note.txt"]);
    assert.deepEqual(leftOut, ["again", "here"]);
  }));

Deno.test("listModelFiles() reads the directory when its own path is a link", () =>
  withLinks([], (model) => {
    Deno.symlinkSync(model, `${model}-link`);
    assert.equal(openModel(`${model}-link`).directory, model);
  }));

Deno.test("openModel() refuses the weights when they link to a directory", () =>
  withLinks([["x.safetensors", "sub"]], (model) => {
    Deno.removeSync(join(model, "model.safetensors"));
    assert.throws(() => openModel(model), {
      name: "BadInputError",
      message: 'Cannot read "x.safetensors": it is not a regular file',
    });
  }));

/** A Hugging Face cache with one model in it; `use` gets the cache and its snapshot. */
async function withCache(
  folder: string,
  part: string,
  use: (cache: string, snapshot: string) => void,
): Promise<void> {
  const snapshot = join(folder, "snapshots", COMMIT, part);
  await withFiles({
    [`${folder}/blobs/${HASH}`]: WEIGHTS,
    [`${folder}/blobs/${COMMIT}`]: "{}",
    [`${folder}/blobs/passwd`]: "SECRET",
    [`${folder}/blobs/${COMMIT.slice(1)}`]: "SECRET",
    [`${folder}/refs/${HASH}`]: "SECRET",
    [`models--o--other/blobs/${HASH}`]: WEIGHTS,
    [`${snapshot}/.keep`]: "",
  }, (cache) => {
    const up = part === "" ? "../.." : "../../..";
    const at = join(cache, snapshot);
    Deno.symlinkSync(`${up}/blobs/${HASH}`, join(at, "model.safetensors"));
    Deno.symlinkSync(`${up}/blobs/${COMMIT}`, join(at, "config.json"));
    use(cache, at);
  });
}

const CACHES: [folder: string, part: string, name: string][] = [
  ["models--o--n", "", "o/n"],
  ["models--meta-llama--Llama-3.1-8B", "", "meta-llama/Llama-3.1-8B"],
  ["models--gpt2", "", "gpt2"],
  ["models--o--n", "transformer", "o/n/transformer"],
];

for (const [folder, part, name] of CACHES) {
  Deno.test(`openModel() reads the Hugging Face cache when the model is ${name}`, () =>
    withCache(folder, part, (_cache, snapshot) => {
      const model = openModel(snapshot);
      assert.equal(model.name, name);
      assert.deepEqual(model.shards.map((shard) => shard.name), ["model.safetensors"]);
      assert.equal(model.shards[0]!.tensors[0]!.name, "a.weight");
      assert.equal(model.config!.text, "{}");
    }));
}

const FOREIGN: [string, string][] = [
  ["to another model's blob", `../../../models--o--other/blobs/${HASH}`],
  ["to a blob whose name is no hash", "../../blobs/passwd"],
  ["to a blob whose name is 39 digits", `../../blobs/${COMMIT.slice(1)}`],
  ["to a hash that is not a blob", `../../refs/${HASH}`],
  ["to a file below blobs", `../../blobs/${HASH}/x`],
  ["to the blobs", "../../blobs"],
  ["outside the cache", "../../../../passwd"],
];

for (const [what, target] of FOREIGN) {
  Deno.test(`listModelFiles() refuses the Hugging Face cache when a file links ${what}`, () =>
    withCache("models--o--n", "", (_cache, snapshot) => {
      Deno.symlinkSync(target, join(snapshot, "tokenizer.json"));
      assert.throws(() => openModel(snapshot), {
        name: "BadInputError",
        message: /^(Refused to follow|Cannot follow the link) "tokenizer\.json"/,
      });
    }));
}
