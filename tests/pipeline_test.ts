/** A pipeline: which of its components are quantized, what the report says of each, and what goes along. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";
import {
  DEFAULT_SETTINGS,
  parseReport,
  quantizeModel,
  readTimeGroups,
  renderHtml,
  verifyCheckpoint,
} from "../mod.ts";
import schema from "../lib/report/report.schema.json" with { type: "json" };
import { type Files, namesIn, smallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";
import { formatReport } from "./make_report.ts";

const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(schema);

/** Two denoisers, an encoder and a scheduler. */
const PIPELINE: Files = {
  "pipe/model_index.json": JSON.stringify({
    _class_name: "TinyPipeline",
    transformer: ["diffusers", "Tiny"],
    transformer_2: ["diffusers", "Tiny"],
    text_encoder: ["transformers", "Tiny"],
    scheduler: ["diffusers", "TinyScheduler"],
  }),
  ...smallModel("pipe/transformer"),
  "pipe/transformer_2/config.json": "{}",
  "pipe/transformer_2/model.safetensors": encodeFile([
    matrix("blocks.0.fc.weight", 16, 64, noise(5)),
  ]),
  "pipe/text_encoder/config.json": "{}",
  "pipe/text_encoder/model.safetensors": encodeFile([matrix("fc.weight", 8, 64, noise(6))]),
  "pipe/scheduler/scheduler_config.json": "{}",
};

/** Names of the layers and components of a report. */
const named = (list: readonly { name: string }[] = []) => list.map(({ name }) => name);

Deno.test("quantizeModel() reports each denoiser of a pipeline, and all of them together", async () => {
  await withFiles(PIPELINE, async (root) => {
    const [model, output] = [join(root, "pipe"), join(root, "out")];
    const report = await quantizeModel(model, output, { ...DEFAULT_SETTINGS, bits: 4 });
    assert.equal(report.model_name, "pipe");
    assert.deepEqual(named(report.layers), [
      "transformer/blocks.0.fc",
      "transformer/blocks.1.fc",
      "transformer_2/blocks.0.fc",
    ]);
    assert.deepEqual(named(report.skipped), [
      "transformer/blocks.0.fc.bias",
      "transformer/embed_tokens.weight",
    ]);
    const [first, second] = report.components!;
    assert.deepEqual(named(report.components), ["transformer", "transformer_2"]);
    assert.deepEqual([first!.layer_count, second!.layer_count], [2, 1]);
    assert.deepEqual([first!.parameter_count, second!.parameter_count], [1192, 1024]);
    assert.equal(report.parameter_count, 1192 + 1024);
    const [layer] = report.layers.slice(-1);
    assert.equal(second!.sqnr_db, layer!.sqnr_db);
    assert.equal(second!.smoothness_score, layer!.smoothness_score);
    const bytes = Deno.statSync(join(output, "transformer_2/model.safetensors")).size;
    assert.equal(second!.bits_per_weight, bytes * 8 / 1024);
    assert.equal(second!.model_size_mb, bytes / 1e6);
    assert.ok(validate(JSON.parse(formatReport(report))), JSON.stringify(validate.errors));
    assert.deepEqual(parseReport(formatReport(report)), JSON.parse(JSON.stringify(report)));
    const page = await renderHtml(report);
    assert.ok(page.includes("--component=transformer_2"));
    const { smoothness_score, sqnr_db, bits_per_weight } = second!;
    assert.ok(page.includes(
      "<dt>Component transformer_2</dt><dd>1 layer, " +
        `score ${smoothness_score.toFixed(4)}, SQNR ${sqnr_db!.toFixed(2)} dB, ` +
        `${bits_per_weight.toFixed(2)} bits a weight</dd>`,
    ));
  });
});

Deno.test("quantizeModel() takes the other components of a pipeline along, and verifyCheckpoint() notices a change", async () => {
  await withFiles(PIPELINE, async (root) => {
    const [model, output] = [join(root, "pipe"), join(root, "out")];
    const report = await quantizeModel(model, output, DEFAULT_SETTINGS);
    const copied = ["text_encoder/model.safetensors", "scheduler/scheduler_config.json"];
    for (const name of [...copied, "model_index.json"]) {
      const [source, copy] = [model, output].map((path) => Deno.readFileSync(join(path, name)));
      assert.deepEqual(copy, source, name);
    }
    const found = await verifyCheckpoint(output, model);
    assert.equal(found.schedule_count, 3);
    assert.ok(Math.abs(found.sqnr_db! - report.sqnr_db!) < 1e-5);
    Deno.writeTextFileSync(join(output, "scheduler/scheduler_config.json"), "[]");
    await assert.rejects(verifyCheckpoint(output, model), {
      message: 'Verification failed: the file "scheduler/scheduler_config.json" differs from the ' +
        "model's at byte 0",
    });
  });
});

Deno.test("main() quantizes the component of a pipeline that is named, and no other", async () => {
  await withFiles(PIPELINE, async (root) => {
    const [model, output, report] = [join(root, "pipe"), join(root, "out"), join(root, "r.json")];
    const run = ["--model", model, "--output", output, "--report", report];
    assert.equal((await runMain(...run, "--component", "text_encoder")).code, 0);
    const { layers, components } = parseReport(Deno.readTextFileSync(report));
    assert.deepEqual(named(layers), ["text_encoder/fc"]);
    assert.deepEqual(named(components), ["text_encoder"]);
    assert.deepEqual(namesIn(join(output, "transformer")), namesIn(join(model, "transformer")));
    const refused = await runMain(...run, "--overwrite", "--component", "vae");
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /^error: Component not found: "vae" in the pipeline ".*pipe": it has /,
    );
    const alone = await runMain(
      ...["--model", join(model, "transformer"), "--output", join(root, "alone")],
      ...["--report", join(root, "alone.json"), "--component", "transformer"],
    );
    assert.equal(alone.code, 2);
    assert.match(alone.stderr, /^error: Cannot choose component "transformer" of /);
  });
});

Deno.test("readTimeGroups() reads the schedules that a run wrote, and says what is wrong with a file", async () => {
  await withFiles(PIPELINE, async (root) => {
    const [model, output] = [join(root, "pipe"), join(root, "out")];
    const settings = { ...DEFAULT_SETTINGS, timeGroups: 2 };
    const { layers } = await quantizeModel(model, output, settings);
    const found = readTimeGroups(join(output, "transformer_2"))!;
    const { boundaries, scale, zero_point } = layers.at(-1)!;
    assert.deepEqual(found, {
      source: "positional",
      phase: "baseline",
      layers: [{
        name: "blocks.0.fc",
        boundaries,
        scale: scale.map(Math.fround),
        zero_point: zero_point.map(Math.round),
      }],
    });
    assert.equal(readTimeGroups(output), undefined);
    const path = join(output, "transformer_2/time_groups.isotherm");
    Deno.writeFileSync(path, encodeFile([matrix("blocks.0.fc.boundaries", 1, 3, () => 0)]));
    assert.throws(() => readTimeGroups(join(output, "transformer_2")), {
      name: "BadInputError",
      message: 'Cannot read the schedules "time_groups.isotherm": their format is "pt", expected ' +
        '"isotherm-time-groups"',
    });
  });
});
