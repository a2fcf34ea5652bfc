/** What goes where in an output is decided before the work begins. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Files, namesIn, smallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { pipelineFiles } from "./pipeline_model.ts";
import { runMain } from "./run_cli.ts";

const FLUX: Files = {
  "model/config.json": '{"_class_name": "FluxTransformer2DModel"}',
  "model/model.safetensors": encodeFile([matrix("a.weight", 8, 256, noise(1))]),
};

/** Models with a file that goes along in the way of one that the run makes, and what is said of both. */
const IN_THE_WAY: [files: Files, file: string, own: string, flags?: string[]][] = [
  [
    { "model/model.safetensors": FLUX["model/model.safetensors"]!, "model/config.json/x": "" },
    "config.json/x",
    "config.json",
  ],
  [
    { ...smallModel(), "model/time_groups.isotherm/deep/x": "" },
    "time_groups.isotherm/deep/x",
    "time_groups.isotherm",
  ],
  // Of which a file system of macOS has one.
  [
    { ...smallModel(), "model/Time_Groups.isotherm": "" },
    "Time_Groups.isotherm",
    "time_groups.isotherm",
  ],
  [{ ...FLUX, "model/model.gguf/x": "" }, "model.gguf/x", "model.gguf", ["--format", "gguf"]],
  [
    { ...pipelineFiles("model"), "model/transformer/config.JSON/x": "" },
    "transformer/config.JSON/x",
    "transformer/config.json",
  ],
  [
    { ...pipelineFiles("model"), "model/Transformer": "" },
    "Transformer",
    "transformer/time_groups.isotherm",
  ],
];

for (const [files, file, own, flags = []] of IN_THE_WAY) {
  Deno.test(`main() refuses a model before the work when "${file}" is in the way of "${own}"`, async () => {
    await withFiles(files, async (root) => {
      const [model, output] = [join(root, "model"), join(root, "out")];
      const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
      const message =
        `Cannot copy "${file}": the checkpoint's "${own}" goes there: rename it in the model\n`;
      const refused = await runMain(...run, ...flags);
      assert.equal(refused.code, 2);
      assert.ok(refused.stderr.endsWith(`error: ${message}`), refused.stderr);
      assert.equal(refused.stderr.includes("Quantizing"), false);
      assert.deepEqual(namesIn(root), ["model"]);
      const inspected = await runMain("inspect", model, ...flags);
      assert.ok(inspected.stderr.endsWith(`A run would be refused: ${message}`), inspected.stderr);
    });
  });
}

Deno.test("main() copies files whose names begin like those of the checkpoint", async () => {
  const files = {
    ...smallModel(),
    "model/config.json.bak": "",
    "model/time_groups.isotherm.d/x": "",
    "model/sub/config.json": "{}",
    "model/sub/time_groups.isotherm": "",
  };
  await withFiles(files, async (root) => {
    const { code, stderr } = await runMain(
      ...["--model", join(root, "model"), "--output", join(root, "out")],
      ...["--report", join(root, "r.json")],
    );
    assert.equal(code, 0, stderr);
    assert.deepEqual(namesIn(join(root, "out")), [
      "config.json",
      "config.json.bak",
      "model.safetensors",
      "sub",
      "time_groups.isotherm",
      "time_groups.isotherm.d",
      "tokenizer_config.json",
    ]);
  });
});

for (
  const [what, name, file] of [
    ["long", "m".repeat(255), `${"m".repeat(250)}.gguf`],
    ["long and of several bytes a character", "模".repeat(85), `${"模".repeat(83)}.gguf`],
    ["short", "m", "m.gguf"],
  ] as const
) {
  Deno.test(`main() names a GGUF file like its model when that name is ${what}`, async () => {
    const files = Object.fromEntries(
      Object.entries(FLUX).map(([path, content]) => [path.replace("model/", `${name}/`), content]),
    );
    await withFiles(files, async (root) => {
      const { code, stderr } = await runMain(
        ...["--model", join(root, name), "--output", join(root, "out")],
        ...["--report", join(root, "r.json"), "--format", "gguf"],
      );
      assert.equal(code, 0, stderr);
      assert.ok(namesIn(join(root, "out")).includes(file));
    });
  });
}
