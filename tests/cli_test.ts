import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { COMMANDS } from "../lib/cli/flags.ts";
import { namesIn, smallModel, withSmallModel } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { type Outcome, outcomeOf, runIn, runMain, runProcess, spawnCli } from "./run_cli.ts";

const DIGITS = fileURLToPath(new URL("../examples/digits-dit", import.meta.url));

const RULE = "=".repeat(80);

/** The block for the digits model; the time is the one figure that changes. */
const DIGITS_BLOCK = `${RULE}
BASELINE METRICS ESTABLISHED
${RULE}

Verdict: BROKEN
  Quality: broken (SQNR of the weights 1.40 dB: some models like it fall apart)
  Smoothness: good (score 0.8643, 0 violations)

Markov Smoothness Metrics:
  Overall smoothness score: 0.8643
  Violation count: 0
  Layers with violations of their own: 4 of 16
  Smoothness threshold: 0.3

Boundary Score Statistics:
  Min: 0.8535
  Max: 0.8725
  Mean: 0.8643
  Std: 0.0080
  Total boundaries: 3

Quantization Quality:
  Cosine similarity: 0.6233
  SQNR of the weights: 1.40 dB
  Compression ratio: 2.17x
  Model size: 1.16 MB
  Quantization time: #s

Common Violation Patterns:
  - No violations detected - excellent smoothness
${RULE}
`;

const withoutTime = (text: string) => text.replace(/(Quantization time: )\d+\.\d\ds/, "$1#s");

Deno.test("main() prints the results block when the digits model is quantized by slices", async () => {
  await withFiles({}, async (root) => {
    const [output, report] = [join(root, "q"), join(root, "r.json")];
    const args = ["--model", DIGITS, "--output", output, "--report", report];
    const { code, stdout, stderr } = await runProcess(
      ...args,
      "--granularity",
      "slice",
      "--modulation",
      "keep",
    );
    assert.equal(code, 0);
    assert.equal(withoutTime(stdout), DIGITS_BLOCK);
    const closing =
      "Verdict: broken. Next: Give each weight 4 bits: --bit-width 4, about 0.20 MB larger:\n" +
      `  npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. cli.ts --model ${DIGITS} ` +
      `--output ${output} --bit-width 4 --num-time-groups 4 --granularity slice ` +
      `--modulation keep --smoothness-threshold 0.3 --report ${report} --overwrite\n` +
      `Report: ${report}. To decode the checkpoint from disk and compare it with the model:\n` +
      "  npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. cli.ts " +
      `verify ${output} --against ${DIGITS}\n`;
    const headline = "Quantizing digits-dit: 16 layers to INT2, 4 time groups, by slices, " +
      "36 tensors left as they are, for compressed-tensors\n";
    assert.equal(stderr, headline + closing);
    assert.deepEqual(namesIn(root), ["q", "r.json", "r.log"]);
    assert.deepEqual(namesIn(output), [
      "config.json",
      "model.safetensors",
      "time_groups.isotherm",
    ]);
    const log = Deno.readTextFileSync(join(root, "r.log"));
    const layers = log.match(/^Quantized .*$/gm) ?? [];
    assert.equal(layers.length, 16);
    assert.ok(layers.includes("Quantized blocks.0.attn.qkv [384, 128]"));
    const backend = "Backend: wasm, SIMD WebAssembly on one thread";
    const lines = [headline.trimEnd(), ...layers, backend];
    assert.equal(withoutTime(log), `${lines.join("\n")}\n${DIGITS_BLOCK}\n${closing}`);
  });
});

Deno.test("main() prints exactly the report file when --json is given", async () => {
  await withSmallModel(async ({ root, run }) => {
    const { code, stdout } = await runMain(...run, "--json");
    assert.equal(code, 0);
    assert.equal(stdout, Deno.readTextFileSync(join(root, "report.json")));
    const report = JSON.parse(stdout);
    assert.equal(report.model_name, "model");
    assert.deepEqual(report.layers.map(({ name }: { name: string }) => name), [
      "blocks.0.fc",
      "blocks.1.fc",
    ]);
    assert.deepEqual(report.skipped, [
      { name: "blocks.0.fc.bias", reason: "not a matrix (rank 1)" },
      { name: "embed_tokens.weight", reason: "sensitive layer: embedding" },
    ]);
  });
});

Deno.test("main() writes baseline_metrics files when no report is named", async () => {
  await withSmallModel(async ({ root }) => {
    const child = spawnCli(["--model", "model", "--output", "out"], { cwd: root });
    assert.equal((await outcomeOf(child)).code, 0);
    assert.deepEqual(namesIn(root), [
      "baseline_metrics.json",
      "baseline_metrics.log",
      "model",
      "out",
    ]);
  });
});

Deno.test("main() writes nothing when the run is dry", async () => {
  await withSmallModel(async ({ root, output, run }) => {
    const dry = await runMain(...run, "--dry-run", "--json");
    assert.equal(dry.code, 0);
    assert.deepEqual(namesIn(root), ["model"]);
    const { output_bytes, source_bytes, left_out } = JSON.parse(dry.stdout);
    assert.deepEqual(left_out, ["pytorch_model.bin"]);
    assert.equal(source_bytes, smallModel()["model/model.safetensors"]!.length);
    assert.equal((await runMain(...run)).code, 0);
    assert.equal(output_bytes, Deno.statSync(join(output, "model.safetensors")).size);
  });
});

/** Flags, what shares parameters, compression ratio, bits a weight, what is said of both layers' blocks, the warning. */
const PLANS: [
  flags: string[],
  by: string,
  ratio: string,
  bits: string,
  blocks: [string, string],
  warning: string,
][] = [
  [["--group-size", "32"], "rows", "1.83", "13.15", [
    "blocks of 32",
    "blocks of 16: the block size does not suit 48",
  ], '32 does not suit the columns of 1 layer: the first, "blocks.1.fc", takes blocks of 16 a row'],
  [
    [],
    "rows",
    "1.90",
    "12.67",
    [
      "one block a row: the block size does not suit 32",
      "one block a row: the block size does not suit 48",
    ],
    '128, the default, does not suit the columns of 2 layers: the first, "blocks.0.fc", takes one block a row',
  ],
  [["--group-size", "row"], "rows", "1.90", "12.67", ["one block a row", "one block a row"], ""],
  [["--granularity", "slice"], "slices", "1.90", "12.67", [
    "one block a slice",
    "one block a slice",
  ], ""],
  [["--granularity", "slice", "--group-size", "32"], "slices", "1.90", "12.67", [
    "blocks of 32",
    "one block a slice: the block size does not suit 48",
  ], '32 does not suit the columns of 1 layer: the first, "blocks.1.fc", takes one block a slice'],
];

for (const [flags, by, ratio, bits, [first, second], warning] of PLANS) {
  Deno.test(`main() shows the plan when inspecting and when the run is dry, given "${flags.join(" ")}"`, async () => {
    await withSmallModel(async ({ model }) => {
      const { stdout: json } = await runMain("inspect", model, "--json", ...flags);
      const { loads_in }: { loads_in: string[] } = JSON.parse(json);
      assert.ok(loads_in.length > 0);
      const plan = [
        "model: 1 weight file, 4 tensors, 0.00 M parameters, 0.00 MB",
        `INT2, 4 time groups, by ${by}: 2 layers to quantize, 0.00 MB -> 0.00 MB (${ratio}x), ` +
        `${bits} bits a weight`,
        "",
        "Loads in, as compressed-tensors:",
        ...loads_in.map((runtime) => `  ${runtime}`),
        "",
        "To be quantized (2):",
        `  blocks.0.fc  F32  [8, 32], ${first}`,
        `  blocks.1.fc  BF16 [16, 48], ${second}`,
        "",
        "Left as they are (2):",
        "  not a matrix (rank 1) (1, 0.9% of the bytes): blocks.0.fc.bias",
        "  sensitive layer: embedding (1, 17.9% of the bytes): embed_tokens.weight",
        "",
        'Files not copied: "pytorch_model.bin"',
        "",
      ].join("\n");
      const inspect = await runMain("inspect", model, ...flags);
      assert.equal(inspect.stdout, plan);
      assert.equal(inspect.code, 0);
      assert.deepEqual(inspect.stderr.split("\n"), [
        ...warning === "" ? [] : [`Warning: --group-size ${warning}`],
        'Not copied: "pytorch_model.bin"',
        "",
      ]);
      const dry = await runMain("--model", model, "--dry-run", ...flags);
      assert.equal(dry.stdout, plan);
    });
  });
}

Deno.test("main() says the width and the blocks of modulation layers where they are others than asked for", async () => {
  const files = {
    "model/model.safetensors": encodeFile([
      matrix("blocks.0.adaLN_modulation.1.weight", 8, 64, noise(1)),
      matrix("blocks.0.fc.weight", 8, 64, noise(2)),
    ]),
  };
  await withFiles(files, async (root) => {
    const plan = async (...flags: string[]) => {
      const { stdout } = await runMain("inspect", join(root, "model"), ...flags);
      return stdout.match(/^ {2}blocks\..*$/gm);
    };
    const [head, fc] = ["  blocks.0.adaLN_modulation.1  F32  [8, 64], ", "  blocks.0.fc"];
    const plain = (await plan("--granularity", "slice"))!;
    assert.equal(plain[0], `${head}INT8, one block a row`);
    assert.ok(plain[1]!.startsWith(fc) && plain[1]!.endsWith("[8, 64], one block a slice"));
    const four = (await plan("--modulation", "4", "--bit-width", "4", "--group-size", "32"))!;
    assert.equal(four[0], `${head}blocks of 32`);
    const { stdout } = await runMain("inspect", join(root, "model"), "--modulation", "keep");
    assert.match(stdout, /^ {2}sensitive layer: modulation \(1, \d+\.\d% of the bytes\): blocks/m);
  });
});

Deno.test("main() gives the same figures when the output is verified", async () => {
  await withSmallModel(async ({ model, output, run }) => {
    const blocks = ["--group-size", "16"];
    assert.equal((await runMain(...run, ...blocks)).code, 0);
    const report = JSON.parse(Deno.readTextFileSync(run.at(-1)!));
    const exactly = [...blocks, "--backend", "reference", "--overwrite"];
    assert.equal((await runMain(...run, ...exactly)).code, 0);
    const exact = JSON.parse(Deno.readTextFileSync(run.at(-1)!));
    const { code, stdout, stderr } = await runMain("verify", output, "--against", model, "--json");
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const result = JSON.parse(stdout);
    assert.equal(result.model_name, "out");
    assert.equal(result.copied_tensor_count, 2);
    assert.ok(Math.abs(result.cosine_similarity - exact.cosine_similarity) < 1e-9);
    assert.ok(Math.abs(result.sqnr_db - exact.sqnr_db) < 1e-9);
    // WebAssembly adds up squares in F32.
    assert.ok(Math.abs(result.cosine_similarity - report.cosine_similarity) < 1e-8);
    assert.ok(Math.abs(result.sqnr_db - report.sqnr_db) < 1e-6);
    assert.deepEqual(Object.keys(result.layers[0]), ["name", "cosine_similarity", "sqnr_db"]);
    const human = await runMain("verify", output, "--against", model);
    const [first, ...rest] = result.layers.sort((a: Layer, b: Layer) => a.sqnr_db - b.sqnr_db);
    const line = (layer: Layer) =>
      `    ${layer.sqnr_db.toFixed(2)} dB, cosine ${
        layer.cosine_similarity.toFixed(4)
      }: ${layer.name}`;
    assert.equal(
      human.stdout,
      [
        "Verified out (compressed-tensors): 2 layers decoded from disk",
        `  Cosine similarity: ${result.cosine_similarity.toFixed(4)}`,
        `  SQNR: ${result.sqnr_db.toFixed(2)} dB`,
        "  Other tensors: 2, equal byte for byte",
        "  Lowest SQNR:",
        line(first),
        ...rest.map(line),
        "",
      ].join("\n"),
    );
  });
});

type Layer = { name: string; sqnr_db: number; cosine_similarity: number };

Deno.test("main() prints the version when asked", async () => {
  const expected: Outcome = { code: 0, stdout: `isotherm ${config.version}\n`, stderr: "" };
  assert.deepEqual(await runProcess("--version"), expected);
});

Deno.test("main() prints help on standard output when asked", async () => {
  for (const command of COMMANDS) {
    const { code, stdout, stderr } = await runMain(command, "--help");
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.match(stdout, /^[A-Z][^]*\.\n\nUsage: isotherm /);
  }
});

Deno.test("main() answers with one line and exit code 2 when the command line is wrong", async () => {
  assert.deepEqual(await runProcess("--modle", "x"), {
    code: 2,
    stdout: "",
    stderr: 'error: Unknown flag "--modle": did you mean --model?\n',
  });
});

Deno.test("main() answers with exit code 1 when it has a bug", async () => {
  const broken = {
    stdout: () => {
      throw new TypeError("broken");
    },
  };
  const { code, stderr } = await runIn(broken, "--help");
  assert.equal(code, 1);
  assert.equal(stderr, `error: This is a bug in Isotherm ${config.version}: TypeError: broken\n`);
  const verbose = await runIn(broken, "inspect", DIGITS, "--help");
  assert.equal(verbose.code, 1);
  await withSmallModel(async ({ run }) => {
    const traced = await runIn(broken, ...run, "--dry-run", "--verbose");
    assert.equal(traced.code, 1);
    assert.match(traced.stderr, /TypeError: broken\n +at .*cli_test\.ts/);
  });
});
