/** No tensor that stands for a layer has a name that another one of the model has, in whatever shard that is. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Files, namesIn, vector } from "./directories.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** What stands before the names of a model whose GGUF has its names without it. */
const PREFIX = "model.diffusion_model.";

/** Parts of layers in any format, whether it has them, and names that no format has. */
const PARTS = [
  "weight_packed",
  "weight_scale",
  "weight_zero_point",
  "weight_shape",
  "weight_zeros",
  "scale",
  "zero_point",
  "bias",
  "norm",
];

/** Which of them a loader takes for a part of a layer, by format and width. */
const TAKEN: [flags: string[], taken: string[]][] = [
  ...[[], ["--symmetric"]].map((flags): [string[], string[]] => [
    flags,
    ["weight_packed", "weight_scale", "weight_zero_point", "weight_shape"],
  ]),
  [["--format", "sdnq", "--bit-width", "4"], ["scale", "zero_point"]],
  [["--format", "sdnq", "--bit-width", "8", "--symmetric"], ["scale", "zero_point"]],
  [["--format", "comfy", "--bit-width", "4"], ["weight_scale", "weight_zeros"]],
  [["--format", "comfy", "--bit-width", "8", "--symmetric"], ["weight_scale", "weight_zeros"]],
];

const SHARDS = ["m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"] as const;

/** A model of two shards, of which the second has the first tensors. */
function shardsOf(first: TestTensor[], second: TestTensor[]): Files {
  const weight_map = Object.fromEntries(
    [first, second].flatMap((tensors, i) => tensors.map(({ name }) => [name, SHARDS[i]])),
  );
  return {
    "model/config.json": '{"_class_name": "FluxTransformer2DModel"}',
    "model/m.safetensors.index.json": JSON.stringify({ weight_map }),
    [`model/${SHARDS[0]}`]: encodeFile(first),
    [`model/${SHARDS[1]}`]: encodeFile(second),
  };
}

const layer = (name: string) => matrix(`${name}.weight`, 8, 256, noise(1));

/** Quantizes a model, and verifies what that gives. */
async function runOn(files: Files, flags: string[]) {
  let outcome = { code: 0, stderr: "" };
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    outcome = await runMain(...run, ...flags);
    if (outcome.code !== 0) {
      assert.deepEqual(namesIn(root), ["model"]);
      return;
    }
    const verified = await runMain("verify", output, "--against", model);
    assert.deepEqual(verified.code, 0, verified.stderr);
  });
  return outcome;
}

for (const [flags, taken] of TAKEN) {
  for (const part of PARTS) {
    Deno.test(`main() ${taken.includes(part) ? "refuses" : "takes"} a model with "a.${part}" in another shard than "a.weight" when flags are ${flags.join(" ") || "none"}`, async () => {
      const { code, stderr } = await runOn(
        shardsOf([layer("a")], [vector(`a.${part}`, 4), vector("b.bias", 4)]),
        flags,
      );
      if (taken.includes(part)) {
        assert.equal(
          stderr,
          `error: Cannot write tensor "a.${part}": "a.weight" of "${
            SHARDS[0]
          }" and "a.${part}" of ` +
            `"${
              SHARDS[1]
            }" would both take the name: leave the layer out with --ignore, or rename the ` +
            "other tensor\n",
        );
        assert.equal(code, 2);
      } else if (part === "weight_packed") {
        assert.match(stderr, /^error: The model "model" is already quantized: /);
        assert.equal(code, 2);
      } else assert.equal(code, 0, stderr);
    });
  }
}

Deno.test("main() refuses a model with a part of a layer in a shard before the layer's", async () => {
  const { code, stderr } = await runOn(
    shardsOf([vector("b.bias", 4), vector("a.weight_scale", 4)], [layer("a")]),
    [],
  );
  assert.equal(
    stderr,
    `error: Cannot write tensor "a.weight_scale": "a.weight" of "${SHARDS[1]}" and ` +
      `"a.weight_scale" of "${SHARDS[0]}" would both take the name: leave the layer out with ` +
      "--ignore, or rename the other tensor\n",
  );
  assert.equal(code, 2);
});

Deno.test("main() refuses a model with two tensors of one name in GGUF", async () => {
  const tensors = [layer(`${PREFIX}a`)];
  const { code, stderr } = await runOn(shardsOf(tensors, [layer("a")]), ["--format", "gguf"]);
  assert.equal(
    stderr,
    `error: Cannot write tensor "a.weight": "${PREFIX}a.weight" of "${
      SHARDS[0]
    }" and "a.weight" of ` +
      `"${SHARDS[1]}" would both take the name: rename one of them, or give another --format\n`,
  );
  assert.equal(code, 2);
});

for (const [flags] of TAKEN) {
  Deno.test(`main() takes a model whose layer is ignored though its name is taken when flags are ${flags.join(" ") || "none"}`, async () => {
    const second = ["scale", "zero_point", "weight_scale", "weight_zeros", "weight_zero_point"]
      .map((part) => vector(`a.${part}`, 4));
    const files = shardsOf([layer("a"), layer("b")], second);
    const { code, stderr } = await runOn(files, [...flags, "--ignore=a"]);
    assert.equal(code, 0, stderr);
  });
}
