/** Every format at every width: what is written is what the report says, the same on every backend, and odd layers are told of. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { FormatName } from "../lib/types.ts";
import { GRANULARITIES, PHASES } from "../lib/settings/settings.ts";
import {
  type Bits,
  checkReport,
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  verifyCheckpoint,
} from "../mod.ts";
import { contentOf, namesIn, vector } from "./directories.ts";
import { encodeFile, matrix, noise, type TestTensor, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Columns of layers, most of them of no use to one format or another. */
const COLUMNS = [6, 33, 48, 96, 100, 132, 256, 320];

/** Layers of every width, of every dtype, of few rows and of many; one of nothing but zeros, one of one value. */
const LAYERS: TestTensor[] = [
  ...COLUMNS.map((columns) => matrix(`f32.${columns}.weight`, 17, columns, noise(columns))),
  ...[48, 100, 256].map((columns) =>
    matrix(`f16.${columns}.weight`, 5, columns, (i) => noise(columns)(i) / 40, "F16")
  ),
  ...[96, 132, 256].map((columns) =>
    matrix(`bf16.${columns}.weight`, 17, columns, (i) => 3 * noise(columns)(i) + 1, "BF16")
  ),
  matrix("zeros.256.weight", 8, 256, () => 0, "BF16"),
  matrix("ones.256.weight", 5, 256, () => 1.25, "F16"),
];

/** A name that readers of GGUF know. */
const FILES = {
  "model/config.json": '{"_class_name": "FluxTransformer2DModel"}',
  "model/model.safetensors": encodeFile([...LAYERS, vector("f32.48.bias", 17)]),
};

/** Format, width, whether parameters are symmetric, and columns that the format cannot hold. */
const KINDS: [format: FormatName, bits: Bits, symmetric: boolean, unheld: number[]][] = [
  ...([2, 4, 8] as const).flatMap((bits) =>
    [false, true].map((symmetric): [FormatName, Bits, boolean, number[]] => [
      "compressed-tensors",
      bits,
      symmetric,
      [],
    ])
  ),
  ["sdnq", 2, false, [6, 33]],
  ["sdnq", 2, true, [6, 33]],
  ["sdnq", 4, false, [33]],
  ["sdnq", 4, true, [33]],
  ["sdnq", 8, true, []],
  ["comfy", 4, false, [33]],
  ["comfy", 4, true, [33]],
  ["comfy", 8, true, []],
  ["gguf", 2, false, [6, 33, 48, 96, 100, 132, 320]],
  ["gguf", 2, true, [6, 33, 48, 96, 100, 132, 320]],
  ["gguf", 4, false, [6, 33, 48, 100, 132]],
  ["gguf", 4, true, [6, 33, 48, 100, 132]],
  ["gguf", 8, true, [6, 33, 48, 100, 132]],
];

/** What noise loses by codes of a width, at most, in dB. */
const LEAST_DB: Record<Bits, number> = { 2: 3, 4: 17, 8: 38 };

function columnsOf(name: string): number {
  return Number(/\d+(?=(\.weight)?$)/.exec(name)?.[0]);
}

for (const [format, bits, symmetric, unheld] of KINDS) {
  const kind = `${format} INT${bits}${symmetric ? ", symmetric" : ""}`;

  Deno.test(`${kind}: what is on disk is what the report says, in every phase`, async () => {
    await withFiles(FILES, async (root) => {
      const [model, output] = [join(root, "model"), join(root, "out")];
      for (const granularity of GRANULARITIES) {
        for (const phase of PHASES) {
          const what = `${kind}, ${granularity} ${phase}`;
          const report = await quantizeModel(model, output, {
            ...DEFAULT_SETTINGS,
            format,
            bits,
            symmetric,
            granularity,
            phase,
            ...phase === "optimize" && granularity === "row" && { markovWeight: 1 },
            overwrite: true,
          });
          const verified = await verifyCheckpoint(output, model);
          assert.equal(verified.format, format);
          const byteLength = namesIn(output).filter((name) => /\.(safetensors|gguf)$/.test(name))
            .reduce((size, name) => size + Deno.statSync(join(output, name)).size, 0);
          assert.equal(report.model_size_mb, byteLength / 1e6);
          checkReport(report, verified, { name: what, byteLength });
          const left = LAYERS.filter(({ name }) => unheld.includes(columnsOf(name)));
          assert.deepEqual(
            report.skipped.map(({ name, reason }) => `${name}: ${reason}`).sort(),
            [
              "f32.48.bias: not a matrix (rank 1)",
              ...left.map(({ name }) =>
                `${name}: ${columnsOf(name)} columns fill no blocks of the format`
              ),
            ].sort(),
            what,
          );
          assert.equal(verified.layers.length, LAYERS.length - left.length, what);
          assert.equal(verified.copied_tensor_count, left.length + 1, what);
          assert.equal(verified.schedule_count, verified.layers.length, what);
          for (const { name, sqnr_db, cosine_similarity } of verified.layers) {
            if (name === "zeros.256") assert.equal(sqnr_db, null, what);
            else if (phase === "baseline" && sqnr_db !== null) {
              assert.ok(sqnr_db > LEAST_DB[bits], `${what} ${name} ${sqnr_db}`);
            }
            assert.ok(cosine_similarity <= 1 + 1e-12);
          }
        }
      }
    });
  });
}

Deno.test("every format is written the same twice, and by every backend", async () => {
  await withFiles(FILES, async (root) => {
    const model = join(root, "model");
    for (const [format, bits, symmetric] of KINDS) {
      for (const granularity of GRANULARITIES) {
        const settings: QuantizeSettings = {
          ...DEFAULT_SETTINGS,
          format,
          bits,
          symmetric,
          granularity,
          phase: "optimize",
        };
        const contents = [];
        for (const backend of ["wasm", "wasm", "reference"] as const) {
          const output = join(root, `out${contents.length}`);
          await quantizeModel(model, output, { ...settings, backend, overwrite: true });
          contents.push([...contentOf(output)]);
        }
        const what = `${format} ${bits} ${symmetric} ${granularity}`;
        assert.deepEqual(contents[1], contents[0], what);
        assert.deepEqual(contents[2], contents[0], what);
      }
    }
  });
});

Deno.test("the command line writes each format, verifies it and tells of layers that it cannot hold", async () => {
  await withFiles(FILES, async (root) => {
    const [model, output, report] = ["model", "out", "r.json"].map((name) => join(root, name));
    const run = ["--model", model!, "--output", output!, "--report", report!, "--overwrite"];
    for (const [format, bits, symmetric, unheld] of KINDS) {
      const flags = ["--format", format, "--bit-width", `${bits}`];
      if (symmetric) flags.push("--symmetric");
      const { code, stderr } = await runMain(...run, ...flags);
      assert.equal(code, 0, stderr);
      const left = LAYERS.map(({ name }) => columnsOf(name))
        .filter((columns) => unheld.includes(columns));
      const warning = /^Warning: --format [^\n]*$/m.exec(stderr)?.[0];
      if (left.length === 0) {
        assert.equal(warning, undefined);
      } else {
        // The order of the files is by name within a dtype.
        const said =
          /^Warning: --format (\S+) at (\d) bits cannot store (\d+) layers?, left as they are: the first, "([^"]+)", has (\d+) columns$/
            .exec(warning ?? "") ?? [];
        assert.deepEqual(said.slice(1, 4), [format, `${bits}`, `${left.length}`], warning);
        assert.equal(columnsOf(said[4]!), Number(said[5]));
        assert.ok(unheld.includes(Number(said[5])));
      }
      const verified = await runMain("verify", output!, "--against", model!, "--report", report!);
      assert.equal(verified.code, 0, verified.stderr);
      assert.match(verified.stderr, /^The report "[^\n]*r\.json" agrees with what is on disk\n$/);
      assert.match(
        verified.stdout,
        new RegExp(
          `^Verified out \\(${format}\\): ${
            LAYERS.length - left.length
          } layers decoded from disk\n`,
        ),
      );
      // Layers that are left alone may be no error, and with --strict they are one.
      const strict = await runMain(...run, ...flags, "--strict", "--group-size", "row");
      if (format === "comfy" && bits === 4) {
        assert.equal(strict.code, 2);
        assert.equal(
          strict.stderr,
          "error: Cannot store 1 layer: --format comfy with blocks of a row does not suit the " +
            '33 columns of "f32.33": give another --format or --group-size, or leave --strict out\n',
        );
      }
      if (format === "comfy" && bits === 8) assert.equal(strict.code, 0, strict.stderr);
    }
  });
});

Deno.test("--strict refuses layers that the format cannot hold, and takes a model of others", async () => {
  const tensors = [32, 64].map((columns) => matrix(`a.${columns}.weight`, 8, columns, noise(1)));
  const files = { ...FILES, "fit/model.safetensors": encodeFile(tensors), "fit/config.json": "{}" };
  await withFiles({ ...files, "fit/config.json": FILES["model/config.json"] }, async (root) => {
    const run = (model: string) => [
      ...["--model", join(root, model), "--output", join(root, "out"), "--dry-run"],
      ...["--report", join(root, "r.json"), "--format", "gguf", "--bit-width", "4", "--strict"],
    ];
    const { code, stderr } = await runMain(...run("model"));
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error: Cannot store 8 layers: --format gguf with blocks of 32 does not suit the (\d+) columns of "f32\.\1": give another --format or --group-size, or leave --strict out\n$/,
    );
    const fit = await runMain(...run("fit"));
    assert.equal(fit.code, 0, fit.stderr);
  });
});

Deno.test("where a format can hold no layer nothing is left to quantize", async () => {
  const tensors = [
    matrix("a.fc.weight", 8, 48, noise(1)),
    matrix("b.fc.weight", 8, 33, noise(2)),
  ];
  const files = {
    "model/model.safetensors": encodeFile(tensors),
    "model/config.json": FILES["model/config.json"],
  };
  const cases: [flags: string[], blocks: string][] = [
    [["--format", "gguf"], "--format gguf with blocks of 256"],
    [["--format", "gguf", "--bit-width", "4"], "--format gguf with blocks of 32"],
    [
      ["--format", "gguf", "--bit-width", "4", "--group-size", "row"],
      "--format gguf with blocks of a row",
    ],
    [["--format", "gguf", "--bit-width", "8", "--symmetric"], "--format gguf with blocks of 32"],
  ];
  await withFiles(files, async (root) => {
    const [model, output] = [join(root, "model"), join(root, "out")];
    const run = ["--model", model, "--output", output, "--report", join(root, "r.json")];
    for (const [flags, blocks] of cases) {
      const { code, stdout, stderr } = await runMain(...run, ...flags);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.equal(
        stderr,
        'error: Nothing to quantize in "model": 2 tensors left as they are: ' +
          `${blocks} fill none of the 48 columns of "a.fc": ` +
          "give another --format, --bit-width or --group-size\n",
      );
      const inspected = await runMain("inspect", model, ...flags);
      assert.equal(inspected.code, 0);
      assert.match(inspected.stderr, /^A run would be refused: Nothing to quantize in "model"/m);
    }
    assert.deepEqual(namesIn(root), ["model"]);
  });
});

Deno.test("checkReport() allows for zero points that a format rounds, and for no more", () => {
  const check = (format: FormatName, db: number, cosine: number, found = 20) => {
    const quality = { cosine_similarity: 0.99, sqnr_db: found };
    const layer = { name: "a", cosine_similarity: 0.99 + cosine, sqnr_db: found + db };
    const report = { ...quality, layers: [layer], model_size_mb: 1 };
    const verification = {
      ...quality,
      model_name: "out",
      format,
      layers: [{ name: "a", ...quality }],
      copied_tensor_count: 0,
      schedule_count: null,
    };
    checkReport(report, verification, { name: "r.json", byteLength: 1e6 });
  };
  for (const format of ["compressed-tensors", "sdnq"] as const) {
    check(format, 0.009, 9e-6);
    assert.throws(() => check(format, 0.011, 0), /SQNR/);
    assert.throws(() => check(format, 0, 1.1e-5), /cosine/);
    assert.throws(() => check(format, 1, 0, 41), /SQNR/);
  }
  for (const format of ["gguf", "comfy"] as const) {
    check(format, -0.049, -4.9e-5);
    assert.throws(() => check(format, 0.051, 0), /SQNR/);
    assert.throws(() => check(format, 0, 5.1e-5), /cosine/);
    check(format, 9, 0, 41);
    assert.throws(() => check(format, 1, 0, 39.5), /SQNR/);
  }
});
