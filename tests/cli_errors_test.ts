import assert from "node:assert/strict";
import { join } from "node:path";
import { type Files, namesIn, shardedModel, smallModel, stateOf } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain, runProcess } from "./run_cli.ts";

/** What a model directory holds, for a hint. */
const HOLDS = "a model directory holds config.json and model.safetensors, " +
  "or shards with model.safetensors.index.json";

/** A model that a run refuses. */
interface Refused {
  /** What is wrong with it. */
  what: string;
  files: Files;
  flags?: string[];
  /** The one line on standard error, without `error: `; MODEL stands for the model's path. */
  message: string;
}

/** One layer of 4 rows and 16 columns, some of whose values are replaced. */
function layer(values: Record<number, number>, name = "a.weight") {
  const plain = noise(1);
  return matrix(name, 4, 16, (i) => values[i] ?? plain(i));
}

const quantized = "quantizing twice would lose quality: start from the original model";
const repair = "repair the weights, or leave it out with --ignore";

const REFUSED: Refused[] = [
  {
    what: "the model does not exist",
    files: {},
    message: `Model not found: "MODEL": ${HOLDS}`,
  },
  {
    what: "the model is a file",
    files: { model: "text" },
    message: `Model is not a directory: "MODEL": give its directory: ${HOLDS}`,
  },
  {
    what: "the directory holds no weights",
    files: { "model/config.json": "{}" },
    message: 'No safetensors weights in "MODEL": expected model.safetensors, ' +
      "diffusion_pytorch_model.safetensors or shards with an index",
  },
  {
    what: "the directory holds weights in another format only",
    files: { "model/config.json": "{}", "model/pytorch_model.bin": "pickle" },
    message: 'No safetensors weights in "MODEL": ' +
      'convert "pytorch_model.bin" to safetensors first',
  },
  {
    what: "config.json says that it is quantized",
    files: { ...smallModel(), "model/config.json": '{"quantization_config": {"bits": 4}}' },
    message: 'The model "model" is already quantized: its config.json has a quantization_config: ' +
      quantized,
  },
  {
    what: "its tensors are packed",
    files: { "model/model.safetensors": encodeFile([layer({}, "a.weight_packed")]) },
    flags: ["--no-default-ignore"],
    message: 'The model "model" is already quantized: "model.safetensors" holds ' +
      `"a.weight_packed": ${quantized}`,
  },
  {
    what: "a weight is NaN",
    files: { "model/model.safetensors": encodeFile([layer({ 35: NaN })]) },
    message: 'Cannot quantize tensor "a.weight" in "model.safetensors": ' +
      `1 NaN of 64 values, the first at [2, 3]: ${repair}`,
  },
  {
    what: "weights are infinite",
    files: { "model/model.safetensors": encodeFile([layer({ 16: -Infinity, 63: Infinity })]) },
    message: 'Cannot quantize tensor "a.weight" in "model.safetensors": ' +
      `2 infinite of 64 values, the first at [1, 0]: ${repair}`,
  },
  {
    what: "weights are NaN and infinite",
    files: { "model/model.safetensors": encodeFile([layer({ 5: Infinity, 6: NaN, 63: NaN })]) },
    message: 'Cannot quantize tensor "a.weight" in "model.safetensors": ' +
      `2 NaN and 1 infinite of 64 values, the first at [0, 5]: ${repair}`,
  },
  {
    what: "a half-precision weight is NaN in small blocks",
    files: {
      "model/model.safetensors": encodeFile([
        matrix("a.weight", 8, 64, (i) => i === 100 ? NaN : 1, "F16"),
      ]),
    },
    flags: ["--group-size", "16"],
    message: 'Cannot quantize tensor "a.weight" in "model.safetensors": ' +
      `1 NaN of 512 values, the first at [1, 36]: ${repair}`,
  },
  {
    what: "the weights are too far apart",
    files: { "model/model.safetensors": encodeFile([layer({ 3: -(2 ** 126), 4: 2 ** 126 })]) },
    message: 'Cannot quantize tensor "a.weight" in "model.safetensors": ' +
      `the range of a block exceeds 2^126: ${repair}`,
  },
  {
    what: "only the last shard is damaged",
    files: {
      ...shardedModel(),
      "model/model-00002-of-00002.safetensors": encodeFile([
        matrix("blocks.1.fc.weight", 16, 96, (i) => i === 1535 ? NaN : 1, "F16"),
        { name: "blocks.1.fc.bias", dtype: "F16", shape: [16], data: new Uint8Array(32) },
      ]),
    },
    message: 'Cannot quantize tensor "blocks.1.fc.weight" in ' +
      `"model-00002-of-00002.safetensors": 1 NaN of 1536 values, the first at [15, 95]: ${repair}`,
  },
  {
    what: "every layer is ignored",
    files: { "model/model.safetensors": smallModel()["model/model.safetensors"]! },
    flags: ["--ignore", "*"],
    message:
      'Nothing to quantize in "model": 4 tensors left as they are, as "blocks.0.fc.weight" ' +
      '(ignored by "*"), and isotherm inspect says why: give another --ignore, or leave it out',
  },
  {
    what: "a pattern is malformed",
    files: smallModel(),
    flags: ["--ignore", "re:("],
    message: 'Cannot read the pattern "re:(": missing closing ): ' +
      'give a glob such as "blocks.*.attn.*" or "re:" and a regular expression ' +
      "without lookaround and backreferences",
  },
];

for (const { what, files, flags = [], message } of REFUSED) {
  Deno.test(`main() leaves no trace when ${what}`, async () => {
    await withFiles(files, async (root) => {
      const model = join(root, "model");
      const before = stateOf(root);
      const { code, stdout, stderr } = await runMain(
        ...["--model", model, "--output", join(root, "out"), "--report", join(root, "r.json")],
        ...flags,
      );
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      const lines = stderr.split("\n");
      assert.equal(lines.at(-1), "");
      assert.equal(lines.at(-2), `error: ${message.replace("MODEL", model)}`);
      // The models of a few columns are narrower than the default blocks.
      const said =
        /^(Not copied|Quantizing|Warning: --group-size 128, the default, does not suit the columns) /;
      for (const line of lines.slice(0, -2)) assert.match(line, said);
      assert.deepEqual(stateOf(root), before);
    });
  });
}

Deno.test("main() refuses its own output when it is given as the model", async () => {
  await withFiles(smallModel(), async (root) => {
    const run = (model: string, output: string) =>
      runMain(
        ...["--model", join(root, model), "--output", join(root, output)],
        ...["--report", join(root, "r.json")],
      );
    assert.equal((await run("model", "out")).code, 0);
    const { code, stderr } = await run("out", "again");
    assert.equal(code, 2);
    assert.equal(
      stderr,
      'error: The model "out" is already quantized: its config.json has a quantization_config: ' +
        `${quantized}\n`,
    );
    assert.deepEqual(namesIn(root), ["model", "out", "r.json", "r.log"]);
  });
});

Deno.test("main() shows what a model holds when a run with it would be refused", async () => {
  const files = { ...smallModel(), "model/config.json": '{"quantization_config": {}}' };
  await withFiles(files, async (root) => {
    const { code, stdout, stderr } = await runMain("inspect", join(root, "model"));
    assert.equal(code, 0);
    assert.match(stdout, /^To be quantized \(2\):$/m);
    assert.equal(
      stderr,
      "Warning: --group-size 128, the default, does not suit the columns of 2 layers: the first, " +
        '"blocks.0.fc", takes one block a row\nNot copied: "pytorch_model.bin"\n' +
        'A run would be refused: The model "model" is already quantized: ' +
        `its config.json has a quantization_config: ${quantized}\n`,
    );
  });
});

Deno.test("main() says what differs when a checkpoint is verified against another model", async () => {
  const changed = {
    "other/model.safetensors": encodeFile([matrix("blocks.0.fc.weight", 8, 32, noise(9))]),
  };
  await withFiles({ ...smallModel(), ...changed }, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const report = ["--report", join(root, "r.json")];
    assert.equal((await runMain("--model", model, "--output", output, ...report)).code, 0);
    const other = await runMain("verify", output, "--against", join(root, "other"));
    assert.deepEqual(other, {
      code: 2,
      stdout: "",
      stderr: 'error: Verification failed: the model has no tensor "blocks.1.fc.weight_shape"\n',
    });
    const swapped = await runMain("verify", model, "--against", output);
    assert.deepEqual(swapped, {
      code: 2,
      stdout: "",
      stderr: 'error: Cannot verify "model": its config.json has no quantization_config\n',
    });
  });
});

Deno.test("main() prints no trace of the engine when a process is given a missing model", async () => {
  assert.deepEqual(await runProcess("inspect", "/no/such\x1b[31m\nmodel"), {
    code: 2,
    stdout: "",
    stderr: `error: Model not found: "/no/such\\u{1b}[31m\\u{a}model": ${HOLDS}\n`,
  });
});
