/** A model in which nothing can be quantized is told why, and what would help. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { namesIn, vector } from "./directories.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

const tensor = (name: string, dtype: string, shape: number[], byteLength: number): TestTensor => ({
  name,
  dtype,
  shape,
  data: new Uint8Array(byteLength),
});

const convolution = tensor("conv.weight", "F32", [8, 4, 3, 3], 1152);
const integers = tensor("codes.weight", "I32", [8, 32], 1024);

/** F64 that F32 cannot hold. */
const huge: TestTensor = {
  ...tensor("fc.weight", "F64", [8, 32], 2048),
  data: new Uint8Array(new Float64Array(256).fill(1e300).buffer),
};

const CASES: [what: string, tensors: TestTensor[], message: string, flags?: string[]][] = [
  ["it has no tensor", [], "it holds no tensor: download it again"],
  [
    "it has integers alone",
    [integers],
    '1 tensor left as it is, as "codes.weight" (I32 is not F32, F16 or BF16): ' +
    "convert the weights, or start from the model they were made of",
  ],
  [
    "its weights are F64",
    [huge],
    '1 tensor left as it is, as "fc.weight" (F64 is not F32, F16 or BF16): ' +
    "convert the weights, or start from the model they were made of",
  ],
  [
    "it has convolutions alone",
    [convolution],
    '1 tensor left as it is, as "conv.weight" (convolution (rank 4)): ' +
    "only matrices are quantized, and this model has none",
  ],
  [
    "it has empty matrices alone",
    [tensor("fc.weight", "F32", [0, 32], 0)],
    '1 tensor left as it is, as "fc.weight" (empty): download it again',
  ],
  [
    "no matrix is named *.weight",
    [matrix("fc.kernel", 8, 32, noise(1)), vector("fc.bias", 8)],
    '2 tensors left as they are, as "fc.kernel" (not named *.weight), and isotherm inspect says why: ' +
    "layers are matrices named *.weight: rename it if it is one",
  ],
  [
    "all layers are sensitive, beside convolutions and integers",
    [convolution, integers, matrix("lm_head.weight", 8, 32, noise(1))],
    '3 tensors left as they are, as "lm_head.weight" (sensitive layer: output head), and isotherm ' +
    "inspect says why: give --no-default-ignore to quantize sensitive layers",
  ],
  [
    "the ordinary layers are ignored, beside sensitive ones",
    [matrix("fc.weight", 8, 32, noise(1)), matrix("lm_head.weight", 8, 32, noise(1))],
    '2 tensors left as they are, as "fc.weight" (ignored by "f*"), and isotherm inspect says why: ' +
    "give another --ignore, or leave it out",
    ["--ignore=f*"],
  ],
  [
    "the only layer that is not sensitive has few rows",
    [matrix("fc.weight", 2, 32, noise(1)), matrix("lm_head.weight", 8, 32, noise(1))],
    "2 tensors left as they are, and isotherm inspect says why: 1 layer with fewer rows than 4 " +
    "time groups: lower --num-time-groups",
  ],
  [
    "a row is wider than a block may be",
    [tensor("fc.weight", "BF16", [1, 2 ** 22 + 1], 2 ** 23 + 2)],
    `1 tensor left as it is, as "fc.weight" (rows of ${2 ** 22 + 1} columns are too wide): ` +
    "give a --group-size that divides its columns",
    ["--num-time-groups=1"],
  ],
];

for (const [what, tensors, message, flags = []] of CASES) {
  Deno.test(`main() says why nothing is quantized when ${what}`, async () => {
    const files = { "model/model.safetensors": encodeFile(tensors) };
    await withFiles(files, async (root) => {
      const model = join(root, "model");
      const run = ["--model", model, "--output", join(root, "out")];
      const refused = await runMain(...run, ...flags);
      assert.equal(
        refused.stderr.split("\n").at(-2),
        `error: Nothing to quantize in "model": ${message}`,
      );
      assert.equal(refused.code, 2);
      const inspected = await runMain("inspect", model, ...flags);
      assert.equal(
        inspected.stderr.split("\n").at(-2),
        `A run would be refused: Nothing to quantize in "model": ${message}`,
      );
      assert.equal(inspected.code, 0);
      assert.deepEqual(namesIn(root), ["model"]);
    });
  });
}

Deno.test("main() counts one tensor left as it is", async () => {
  const files = {
    "model/model.safetensors": encodeFile([matrix("fc.weight", 8, 32, noise(1)), vector("b", 8)]),
  };
  await withFiles(files, async (root) => {
    const { code, stderr } = await runMain(
      ...["--model", join(root, "model"), "--output", join(root, "out")],
      ...["--report", join(root, "r.json"), "--group-size=row"],
    );
    assert.equal(code, 0);
    assert.equal(
      stderr.split("\n")[0],
      "Quantizing model: 1 layer to INT2, 4 time groups, by rows, 1 tensor left as it is, " +
        "for compressed-tensors",
    );
  });
});
