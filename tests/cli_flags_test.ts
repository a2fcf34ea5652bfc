import assert from "node:assert/strict";
import { join } from "node:path";
import { contentOf, namesIn, withSmallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

Deno.test("main() logs each layer when --verbose is given", async () => {
  await withSmallModel(async ({ run }) => {
    const { code, stderr } = await runMain(...run, "--verbose");
    assert.equal(code, 0);
    const lines = stderr.split("\n");
    assert.deepEqual(lines.slice(0, 2), [
      'Not copied: "pytorch_model.bin"',
      "Quantizing model: 2 layers to INT2, 4 time groups, 2 tensors left as they are",
    ]);
    assert.deepEqual(lines.filter((line) => line.startsWith("Quantized ")).sort(), [
      "Quantized blocks.0.fc [8, 32]",
      "Quantized blocks.1.fc [16, 48]",
    ]);
  });
});

Deno.test("main() warns when --ignore matches nothing", async () => {
  await withSmallModel(async ({ run }) => {
    const { code, stderr } = await runMain(...run, "--ignore", "blocks.0.*", "--ignore", "blok.*");
    assert.equal(code, 0);
    assert.equal(stderr.split("\n")[0], 'Warning: --ignore "blok.*" matches no tensor');
    assert.equal(stderr.match(/Warning/g)?.length, 1);
    const report = JSON.parse(Deno.readTextFileSync(run.at(-1)!));
    assert.deepEqual(report.ignore, ["blocks.0.*", "blok.*"]);
    assert.equal(report.layers.length, 1);
  });
});

Deno.test("main() warns when blocks do not divide a layer, and fails when that is strict", async () => {
  await withSmallModel(async ({ root, run }) => {
    const strict = await runMain(...run, "--group-size", "32", "--strict");
    assert.deepEqual(strict, {
      code: 2,
      stdout: "",
      stderr: 'error: Cannot use --group-size 32 for 1 layer, the first "blocks.1.fc": ' +
        "it does not divide 48 columns: give a divisor, or leave --strict out\n",
    });
    assert.deepEqual(namesIn(root), ["model"]);
    const { code, stderr } = await runMain(...run, "--group-size", "32");
    assert.equal(code, 0);
    assert.equal(
      stderr.split("\n")[0],
      "Warning: --group-size does not divide the columns of 1 layer, " +
        'the first "blocks.1.fc": they take one block a slice',
    );
  });
});

Deno.test("main() puts the report into the output when it is named inside", async () => {
  await withSmallModel(async ({ root, output, model }) => {
    const report = join(output, "metrics", "report.json");
    const { code, stdout } = await runMain(
      ...["--model", model, "--output", output, "--report", report, "--json"],
    );
    assert.equal(code, 0);
    assert.equal(Deno.readTextFileSync(report), stdout);
    assert.deepEqual(namesIn(join(output, "metrics")), ["report.json", "report.log"]);
    assert.deepEqual(namesIn(root), ["model", "out"]);
  });
});

Deno.test("main() replaces an earlier output when --overwrite is given", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    assert.equal((await runMain(...run, "--bit-width", "8")).code, 0);
    Deno.writeTextFileSync(join(output, "stale.json"), "{}");
    const before = contentOf(output);
    const refused = await runMain(...run);
    assert.deepEqual(refused, {
      code: 2,
      stdout: "",
      stderr: `Not copied: "pytorch_model.bin"\nerror: Cannot write the output "${output}": ` +
        "it exists and is not empty: give another, or --overwrite to replace it\n",
    });
    assert.deepEqual(contentOf(output), before);
    assert.equal((await runMain(...run, "--overwrite")).code, 0);
    assert.equal(contentOf(output).has("stale.json"), false);
    assert.deepEqual(namesIn(root), ["model", "out", "report.json", "report.log"]);
    const fresh = join(root, "fresh");
    assert.equal((await runMain(...run.with(3, fresh), "--overwrite")).code, 0);
    assert.deepEqual(contentOf(output), contentOf(fresh));
  });
});

Deno.test("main() takes one time group when asked for one", async () => {
  await withFiles(
    { "model/model.safetensors": encodeFile([matrix("a.weight", 1, 16, noise(1))]) },
    async (root) => {
      const { code, stdout } = await runMain(
        ...["--model", join(root, "model"), "--output", join(root, "out")],
        ...["--report", join(root, "r.json"), "--num-time-groups", "1"],
      );
      assert.equal(code, 0);
      assert.match(stdout, /Overall smoothness score: 1\.0000\n/);
      assert.match(stdout, /Min: n\/a\n {2}Max: n\/a\n {2}Mean: n\/a\n {2}Std: n\/a\n/);
      assert.match(stdout, /Total boundaries: 0\n/);
    },
  );
});
