import assert from "node:assert/strict";
import { join } from "node:path";
import { contentOf, namesIn, withSmallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

Deno.test("main() logs each layer when --verbose is given", async () => {
  await withSmallModel(async ({ run }) => {
    const { code, stderr } = await runMain(...run, "--group-size", "16", "--verbose");
    assert.equal(code, 0);
    const lines = stderr.split("\n");
    assert.deepEqual(lines.slice(0, 2), [
      'Not copied: "pytorch_model.bin"',
      "Quantizing model: 2 layers to INT2, 4 time groups, by rows, blocks of 16, " +
      "2 tensors left as they are, for compressed-tensors",
    ]);
    assert.deepEqual(lines.filter((line) => line.startsWith("Quantized ")).sort(), [
      "Quantized blocks.0.fc [8, 32]",
      "Quantized blocks.1.fc [16, 48]",
    ]);
  });
});

Deno.test("main() warns when --ignore matches nothing", async () => {
  await withSmallModel(async ({ run }) => {
    const ignore = ["--ignore", "blocks.0.*", "--ignore", "blok.*"];
    const { code, stderr } = await runMain(...run, "--group-size", "row", ...ignore);
    assert.equal(code, 0);
    assert.equal(stderr.split("\n")[0], 'Warning: --ignore "blok.*" matches no tensor');
    assert.equal(stderr.match(/Warning/g)?.length, 1);
    const report = JSON.parse(Deno.readTextFileSync(run.at(-1)!));
    assert.deepEqual(report.ignore, ["blocks.0.*", "blok.*"]);
    assert.equal(report.layers.length, 1);
  });
});

// Flags, and what the headline says of the blocks.
const HEADLINES: [string[], string][] = [
  [[], "by rows, blocks of 128"],
  [["--group-size", "48"], "by rows, blocks of 48"],
  [["--group-size", "row"], "by rows"],
  [["--granularity", "slice"], "by slices"],
  [["--granularity", "slice", "--group-size", "16"], "by slices, blocks of 16"],
];

for (const [flags, blocks] of HEADLINES) {
  Deno.test(`main() says "${blocks}" when given "${flags.join(" ")}"`, async () => {
    await withSmallModel(async ({ run }) => {
      const { code, stderr } = await runMain(...run, ...flags);
      assert.equal(code, 0);
      assert.deepEqual(stderr.match(/^Quantizing .*$/gm), [
        `Quantizing model: 2 layers to INT2, 4 time groups, ${blocks}, ` +
        "2 tensors left as they are, for compressed-tensors",
      ]);
    });
  });
}

/** What is warned of, and what the same flags are refused with when they are strict. */
interface Odd {
  flags: string[];
  warnings: string[];
  error: string;
}

const ODD: Odd[] = [
  {
    flags: ["--granularity", "slice", "--group-size", "32"],
    warnings: [
      "Warning: --group-size 32 does not suit the columns of 1 layer: " +
      'the first, "blocks.1.fc", takes one block a slice',
    ],
    error: "Cannot cut 1 layer into blocks: --group-size 32 does not suit the 48 columns of " +
      '"blocks.1.fc": give a size that does, or leave --strict out',
  },
  {
    flags: ["--group-size", "32"],
    warnings: [
      "Warning: --group-size 32 does not suit the columns of 1 layer: " +
      'the first, "blocks.1.fc", takes blocks of 16 a row',
    ],
    error: "Cannot cut 1 layer into blocks: --group-size 32 does not suit the 48 columns of " +
      '"blocks.1.fc": give a size that does, or leave --strict out',
  },
  {
    flags: ["--group-size", "48"],
    warnings: [
      "Warning: --group-size 48 does not suit the columns of 1 layer: " +
      'the first, "blocks.0.fc", takes one block a row',
    ],
    error: "Cannot cut 1 layer into blocks: --group-size 48 does not suit the 32 columns of " +
      '"blocks.0.fc": give a size that does, or leave --strict out',
  },
  {
    flags: [],
    warnings: [
      "Warning: --group-size 128, the default, does not suit the columns of 2 layers: " +
      'the first, "blocks.0.fc", takes one block a row',
    ],
    error: "Cannot cut 2 layers into blocks: --group-size 128, the default, does not suit the " +
      '32 columns of "blocks.0.fc": give a size that does, or leave --strict out',
  },
  {
    flags: ["--group-size", "16", "--num-time-groups", "9"],
    warnings: [
      "Warning: --num-time-groups 9 leaves out 1 layer with fewer rows, " +
      'the first "blocks.0.fc" (8 rows): lower it to quantize them',
    ],
    error: "Cannot use --num-time-groups 9: it leaves out 1 layer with fewer rows, " +
      'the first "blocks.0.fc" (8 rows): lower it, or leave --strict out',
  },
  {
    flags: ["--granularity", "slice", "--num-time-groups", "16", "--no-default-ignore"],
    warnings: [
      "Warning: --num-time-groups 16 leaves out 2 layers with fewer rows, " +
      'the first "blocks.0.fc" (8 rows): lower it to quantize them',
    ],
    error: "Cannot use --num-time-groups 16: it leaves out 2 layers with fewer rows, " +
      'the first "blocks.0.fc" (8 rows): lower it, or leave --strict out',
  },
];

for (const { flags, warnings, error } of ODD) {
  Deno.test(`main() warns of odd sizes, and fails when that is strict, given "${flags.join(" ")}"`, async () => {
    await withSmallModel(async ({ root, run }) => {
      const strict = await runMain(...run, ...flags, "--strict");
      assert.deepEqual(strict, { code: 2, stdout: "", stderr: `error: ${error}\n` });
      assert.deepEqual(namesIn(root), ["model"]);
      const { code, stderr } = await runMain(...run, ...flags);
      assert.equal(code, 0);
      assert.deepEqual(stderr.match(/^Warning.*$/gm), warnings);
    });
  });
}

Deno.test("main() warns of nothing, and is as strict as can be, when the sizes are even", async () => {
  await withSmallModel(async ({ run }) => {
    for (const flags of [["--group-size", "16"], ["--group-size", "row"]]) {
      const { code, stderr } = await runMain(...run, ...flags, "--strict", "--overwrite");
      assert.equal(code, 0);
      assert.doesNotMatch(stderr, /Warning/);
    }
  });
});

Deno.test("main() refuses a block size that no layer is as wide as, by rows and by slices", async () => {
  await withSmallModel(async ({ root, run }) => {
    for (const granularity of ["row", "slice"]) {
      const sized = (size: string) =>
        runMain(...run, "--granularity", granularity, "--group-size", size, "--dry-run");
      assert.deepEqual(await sized("64"), {
        code: 2,
        stdout: "",
        stderr: "error: Cannot use --group-size 64: the widest layer has 48 columns: " +
          "give at most that, or leave --group-size out\n",
      });
      assert.equal((await sized("48")).code, 0);
    }
    assert.deepEqual(namesIn(root), ["model"]);
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
    const refused = await runMain(...run, "--group-size", "16");
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
