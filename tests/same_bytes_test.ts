import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  contentOf,
  namesIn,
  shardedModel,
  smallModel,
  stateOf,
  treeOf,
  writeLargeModel,
} from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { outcomeOf, runMain, spawnCli } from "./run_cli.ts";

const DIGITS = fileURLToPath(new URL("../examples/digits-dit", import.meta.url));

/** Flags of a run into `root/NAME`. */
const run = (root: string, name: string, model: string, ...flags: string[]) => [
  ...["--model", model, "--output", join(root, name)],
  ...["--report", join(root, `${name}.json`), ...flags],
];

for (
  const [what, model, flags, expected] of [
    ["the digits model", DIGITS, [], [
      "config.json",
      "model.safetensors",
      "time_groups.isotherm",
    ]],
    ["the digits model in blocks", DIGITS, ["--group-size", "32", "--bit-width", "4"], [
      "config.json",
      "model.safetensors",
      "time_groups.isotherm",
    ]],
    ["the digits model by slices", DIGITS, ["--granularity", "slice"], [
      "config.json",
      "model.safetensors",
      "time_groups.isotherm",
    ]],
    ["the digits model by slices in blocks", DIGITS, [
      ...["--granularity", "slice", "--group-size", "32", "--bit-width", "4"],
    ], [
      "config.json",
      "model.safetensors",
      "time_groups.isotherm",
    ]],
    ["a sharded model", "model", ["--num-time-groups", "3"], [
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "time_groups.isotherm",
    ]],
  ] as const
) {
  Deno.test(`main() writes the same bytes when ${what} is quantized twice`, async () => {
    await withFiles(shardedModel(), async (root) => {
      const source = model === "model" ? join(root, model) : model;
      assert.equal((await runMain(...run(root, "first", source, ...flags))).code, 0);
      // In a process of its own, so that nothing is left over from the run before.
      const second = await outcomeOf(spawnCli(run(root, "second", source, ...flags)));
      assert.equal(second.code, 0, second.stderr);
      assert.deepEqual(treeOf(join(root, "first")), [...expected]);
      assert.deepEqual(contentOf(join(root, "second")), contentOf(join(root, "first")));
      const report = (name: string) => {
        const text = Deno.readTextFileSync(join(root, `${name}.json`));
        return text.replace(/"quantization_time_s": .*/, "");
      };
      assert.equal(report("second"), report("first"));
    });
  });
}

Deno.test("main() writes the same bytes when a model is large enough for several cores", async () => {
  await withFiles({}, async (root) => {
    const model = join(root, "model");
    writeLargeModel(model, 5);
    for (const name of ["first", "second"]) {
      const { code, stderr } = await outcomeOf(spawnCli(run(root, name, model)));
      assert.equal(code, 0, stderr);
    }
    assert.deepEqual(contentOf(join(root, "second")), contentOf(join(root, "first")));
    const report = JSON.parse(Deno.readTextFileSync(join(root, "first.json")));
    assert.deepEqual(
      report.layers.map(({ name }: { name: string }) => name),
      [0, 1, 2, 3, 4].map((i) => `blocks.${i}.fc`),
    );
  });
});

Deno.test("main() gives its files the permissions of any new ones when it writes them", async () => {
  await withFiles({ ...smallModel(), "plain/file": "" }, async (root) => {
    assert.equal((await runMain(...run(root, "out", join(root, "model")))).code, 0);
    const mode = (path: string) => Deno.statSync(join(root, path)).mode! & 0o777;
    // With the usual umask of 022: 0755 and 0644.
    assert.equal(mode("out"), mode("plain"));
    const written = ["config.json", "model.safetensors", "time_groups.isotherm"];
    for (const file of [...written.map((name) => `out/${name}`), "out.json", "out.log"]) {
      assert.equal(mode(file), mode("plain/file"), file);
    }
  });
});

Deno.test("main() does not touch the model when it is quantized and verified", async () => {
  await withFiles(shardedModel(), async (root) => {
    const model = join(root, "model");
    for (const { name } of Deno.readDirSync(model)) {
      Deno.utimeSync(join(model, name), 1e9, 1e9);
      Deno.chmodSync(join(model, name), 0o444);
    }
    const before = stateOf(model);
    assert.equal((await runMain(...run(root, "out", model))).code, 0);
    assert.equal((await runMain("verify", join(root, "out"), "--against", model)).code, 0);
    assert.deepEqual(stateOf(model), before);
    assert.deepEqual(namesIn(root), ["model", "out", "out.json", "out.log"]);
  });
});

Deno.test("main() copies side files and leaves other weights out when a model has both", async () => {
  const beside = {
    "model/README.md": "# Model\n",
    "model/tokenizer.json": '{"a": 1}',
    "model/code/modeling.py": "pass\n",
    "model/empty.txt": "",
  };
  const leftOut = {
    "model/model.gguf": "GGUF",
    "model/onnx/model.onnx": "onnx",
    "model/original/weights.safetensors": "not looked at",
    "model/.git/HEAD": "hidden",
  };
  await withFiles({ ...smallModel(), ...beside, ...leftOut }, async (root) => {
    const flags = ["--group-size", "row"];
    const { code, stderr } = await runMain(...run(root, "out", join(root, "model"), ...flags));
    assert.equal(code, 0);
    assert.equal(
      stderr.split("\n")[0],
      'Not copied: "model.gguf", "onnx/model.onnx", "original/weights.safetensors", and 1 more',
    );
    assert.deepEqual(treeOf(join(root, "out")), [
      "README.md",
      "code/",
      "code/modeling.py",
      "config.json",
      "empty.txt",
      "model.safetensors",
      "time_groups.isotherm",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const [copied, source] = [contentOf(join(root, "out")), contentOf(join(root, "model"))];
    for (const path of Object.keys(beside)) {
      const name = path.replace("model/", "");
      assert.equal(copied.get(name), source.get(name), name);
    }
  });
});
