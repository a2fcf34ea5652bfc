/** What a user is told of a calibration before a run: gaps, refusals, and what `inspect` says. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  encodeCalibration,
  type RecordedCalibration,
  type RecordedLayer,
} from "../lib/calibration/encode_calibration.ts";
import type { CalibrationSummary } from "../lib/run/summarize_calibration.ts";
import type { PlanSummary } from "../lib/run/summarize_plan.ts";
import { namesIn } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { parseReport } from "../mod.ts";
import { type Outcome, runMain } from "./run_cli.ts";

const COLUMNS = 32;
const NAMES = ["blocks.0.fc1", "blocks.0.fc2", "blocks.1.fc1", "blocks.1.fc2"];

/** Values of the layer at a place in {@linkcode NAMES}; those of the second have outliers. */
function weightAt(layer: number, index: number): number {
  return noise(layer + 1)(index) * (layer === 1 && index % COLUMNS === 5 ? 20 : 1);
}

const MODEL = encodeFile([
  ...NAMES.map((name, i) => matrix(`${name}.weight`, 8, COLUMNS, (at) => weightAt(i, at))),
  matrix("token_embed.weight", 8, COLUMNS, noise(9)),
]);

const SQUARE = Float32Array.from({ length: COLUMNS }, (_, c) => 1 + c % 3);
const SKETCH = Float32Array.from({ length: 2 * COLUMNS }, (_, i) => 0.3 * noise(70)(i));
const SKETCHED: RecordedLayer = { square: SQUARE, sketch: SKETCH, rank: 2 };
const RANGE = { min: Float32Array.of(-1, -2, -1), max: Float32Array.of(1, 2, 2) };

const ALL: RecordedCalibration = {
  timesteps: [100, 500, 900],
  layers: new Map(NAMES.map((name) => [name, SKETCHED])),
};

function withLayers(layers: Record<string, RecordedLayer>, same: [string, string][] = []) {
  return { ...ALL, sameInput: new Map(same), layers: new Map(Object.entries(layers)) };
}

/** Hands over what the command says of a model and a calibration. */
async function tell(
  recorded: RecordedCalibration,
  command: (model: string, calibration: string) => string[],
  use: (outcome: Outcome, root: string, calibration: string) => void,
): Promise<void> {
  const files = { "model/model.safetensors": MODEL, "c.safetensors": encodeCalibration(recorded) };
  await withFiles(files, async (root) => {
    const calibration = join(root, "c.safetensors");
    use(await runMain(...command(join(root, "model"), calibration)), root, calibration);
  });
}

/** A block that suits the columns, so that nothing is said of it. */
const ROWS = ["--group-size", "row"];

const inspect = (...more: string[]) => (model: string, calibration: string) => [
  "inspect",
  model,
  "--calibration",
  calibration,
  ...more.includes("--group-size") ? [] : ROWS,
  ...more,
];

const quantize = (...more: string[]) => (model: string, calibration: string) => [
  ...["--model", model, "--output", join(model, "../out"), "--report", join(model, "../r.json")],
  ...more.includes("--phase") ? [] : ["--phase", "optimize"],
  ...["--calibration", calibration, ...ROWS, ...more],
];

/** What a calibration lacks, with FILE in place of its name. */
const GAPS: [title: string, recorded: RecordedCalibration, gaps: string[]][] = [
  ["all layers", ALL, []],
  [
    "some layers",
    withLayers({ "blocks.0.fc1": SKETCHED, "blocks.1.fc2": SKETCHED }),
    [
      'calibration FILE has no statistics of 2 layers, which are quantized without: the first is "blocks.0.fc2"',
    ],
  ],
  [
    "squares and ranges of some",
    withLayers({
      "blocks.0.fc1": SKETCHED,
      "blocks.0.fc2": { square: SQUARE },
      "blocks.1.fc1": RANGE,
      "blocks.1.fc2": SKETCHED,
    }),
    [
      "calibration FILE has no sketch of the inputs of 2 layers, which are searched for, not compensated: " +
      'the first is "blocks.0.fc2"',
    ],
  ],
  [
    "other layers too, one of them with an evil name, and one that is left as it is",
    withLayers({
      ...Object.fromEntries(ALL.layers),
      "token_embed": SKETCHED,
      "blocks.9.\u001b[31m": SKETCHED,
    }),
    [
      'calibration FILE has statistics of 1 layer that the model does not have: the first is "blocks.9.\\u{1b}[31m"',
    ],
  ],
];

for (const [title, recorded, gaps] of GAPS) {
  const linesOf = ({ stderr }: Outcome, calibration: string) =>
    stderr.replaceAll(`"${calibration}"`, "FILE").trim().split("\n");
  const warnings = gaps.map((gap) => `Warning: ${gap}`);

  Deno.test(`a run and inspect warn of the gaps of a calibration of ${title}`, async () => {
    await tell(recorded, inspect(), (outcome, _, calibration) => {
      assert.equal(outcome.code, 0);
      assert.deepEqual(linesOf(outcome, calibration), gaps.length === 0 ? [""] : warnings);
    });
    await tell(recorded, quantize(), (outcome, _, calibration) => {
      assert.equal(outcome.code, 0, outcome.stderr);
      const found = linesOf(outcome, calibration).filter((line) => line.startsWith("Warning"));
      assert.deepEqual(found, warnings);
    });
  });

  Deno.test(`--strict goes by the gaps of a calibration of ${title}`, () =>
    tell(recorded, quantize("--strict"), (outcome, root, calibration) => {
      if (gaps[0] === undefined) return assert.equal(outcome.code, 0, outcome.stderr);
      assert.equal(outcome.code, 2);
      const [line, ...rest] = linesOf(outcome, calibration);
      assert.ok(line!.includes(`Cannot be strict: ${gaps[0]}: record`), line);
      assert.deepEqual(rest, []);
      assert.deepEqual(namesIn(root), ["c.safetensors", "model"]);
    }));
}

Deno.test("a calibration of none of the layers is refused, with and without --strict", async () => {
  const other = withLayers({ "layers.0.q": SKETCHED, "token_embed": SKETCHED });
  for (const flags of [[], ["--strict"]]) {
    await tell(other, quantize(...flags), ({ code, stderr }, root, calibration) => {
      assert.equal(code, 2);
      const last = stderr.trim().split("\n");
      assert.equal(last.length, 1, stderr);
      assert.ok(
        stderr.includes(
          `Cannot use calibration "${calibration}": it has statistics of none of the 4 layers, ` +
            'as "blocks.0.fc1": it is of another model: record one of this model',
        ),
        stderr,
      );
      assert.deepEqual(namesIn(root), ["c.safetensors", "model"]);
    });
  }
  await tell(other, inspect(), ({ code, stderr }) => {
    assert.equal(code, 0);
    assert.match(stderr, /^A run would be refused: Cannot use calibration /m);
  });
});

const MIXED = {
  ...withLayers({
    "blocks.0.fc1": { ...SKETCHED, ...RANGE },
    "blocks.0.fc2": { square: SQUARE, ...RANGE, histogram: Int32Array.of(1, 2, 3, 4, 5, 6) },
    "strange": RANGE,
  }, [["blocks.1.fc1", "blocks.0.fc1"]]),
  weights: [5, 2, 1],
};

async function summaryOf(
  recorded: RecordedCalibration,
  ...flags: string[]
): Promise<CalibrationSummary> {
  let summary: CalibrationSummary | undefined;
  await tell(recorded, inspect("--json", ...flags), ({ stdout }, _, calibration) => {
    const plan: PlanSummary = JSON.parse(stdout);
    assert.equal(plan.calibration!.file, calibration);
    summary = plan.calibration!;
  });
  return summary!;
}

Deno.test("inspect --json says what a calibration covers, its size by part and its drift", async () => {
  const { file: _, predicted_errors, predicted_groups, ...found } = await summaryOf(MIXED);
  const curve = { range: [0.6667, 1.333, 1], range_ratio: 2 };
  assert.deepEqual(found, {
    version: 2,
    bytes: { sketches: 256, squares: 256, histograms: 24, ranges: 72 },
    timesteps: { count: 3, first: 100, last: 900 },
    equal_weights: false,
    segments: 1,
    layers: {
      sketched: ["blocks.0.fc1", "blocks.1.fc1"],
      squares_only: ["blocks.0.fc2"],
      ranges_only: [],
      missing: ["blocks.1.fc2"],
    },
    shared_inputs: 1,
    ranks: { least: 2, most: 2 },
    strange_layers: ["strange"],
    drift: {
      timesteps: [100, 500, 900],
      kinds: [
        { kind: "fc1", layers: 2, ...curve, rms: null, rms_ratio: null },
        { kind: "fc2", layers: 1, ...curve, rms: [1, 1, 1], rms_ratio: 1 },
      ],
    },
  });
  assert.deepEqual(predicted_errors.map(({ bits }) => bits), [2, 4, 8]);
  const { bits, group_counts, kinds } = predicted_groups!;
  assert.deepEqual([bits, group_counts], [8, [1, 2]]);
  assert.deepEqual(kinds.map(({ kind, layers }) => [kind, layers]), [["all", 1], ["fc2", 1]]);
  for (const { sqnr_db, timestep_sqnr_db, suggested_groups } of kinds) {
    const shown = [...sqnr_db, timestep_sqnr_db].map((db) => db!.toFixed(1));
    assert.deepEqual(shown, ["43.4", "47.9", "48.2"]);
    assert.equal(suggested_groups, 2);
  }
  for (const { layers } of predicted_errors) {
    assert.equal(layers.length, 3);
    assert.ok(Math.abs(layers.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-12);
  }
});

/** Output SQNR of rounding a layer to the nearest of 2^bits codes, by its whole matrix H. */
function roundDirectly(layer: number, bits: number, blockColumns: number): number {
  const mean = SQUARE.reduce((sum, value) => sum + value, 0) / COLUMNS;
  const moment = (a: number, b: number) => {
    const dot = SKETCH[2 * a]! * SKETCH[2 * b]! + SKETCH[2 * a + 1]! * SKETCH[2 * b + 1]!;
    return a === b ? Math.max(SQUARE[a]!, dot) + 0.01 * mean : dot;
  };
  const energy = (x: number[]) =>
    x.reduce((sum, a, i) => sum + x.reduce((part, b, j) => part + a * b * moment(i, j), 0), 0);
  let [signal, error] = [0, 0];
  for (let row = 0; row < 8; row++) {
    const weights = Array.from(
      { length: COLUMNS },
      (_, c) => Math.fround(weightAt(layer, row * COLUMNS + c)),
    );
    const errors = weights.map((weight, c) => {
      const from = c - c % blockColumns;
      const block = weights.slice(from, from + blockColumns);
      const [lo, hi] = [Math.min(0, ...block), Math.max(0, ...block)];
      const scale = (hi - lo) / (2 ** bits - 1);
      const zero = Math.round(-lo / scale);
      const code = Math.min(2 ** bits - 1, Math.max(0, Math.round(weight / scale) + zero));
      return weight - (code - zero) * scale;
    });
    signal += energy(weights);
    error += energy(errors);
  }
  return 10 * Math.log10(signal / error);
}

for (const groupSize of [16, COLUMNS]) {
  Deno.test(`inspect predicts the errors of rounding blocks of ${groupSize}, and which layers they are in`, async () => {
    const { predicted_errors } = await summaryOf(ALL, "--group-size", String(groupSize));
    for (const { bits, output_sqnr_db, layers } of predicted_errors) {
      const expected = NAMES.map((_, i) => roundDirectly(i, bits, groupSize));
      for (const { name, output_sqnr_db } of layers) {
        const own = expected[NAMES.indexOf(name)]!;
        assert.ok(Math.abs(output_sqnr_db! - own) < 0.05, `${name} ${output_sqnr_db} ${own}`);
      }
      const errors = expected.map((db) => 10 ** (-db / 10));
      const mean = errors.reduce((sum, one) => sum + one, 0) / errors.length;
      assert.ok(Math.abs(output_sqnr_db! + 10 * Math.log10(mean)) < 0.05);
      assert.equal(layers[0]!.name, NAMES[errors.indexOf(Math.max(...errors))]);
      assert.ok(Math.abs(layers[0]!.share - Math.max(...errors) / (4 * mean)) < 0.01);
    }
  });
}

Deno.test("inspect predicts the same of one segment and of two that are alike", async () => {
  const twice = (values: Float32Array) => Float32Array.of(...values, ...values);
  const layer = { square: twice(SQUARE), sketch: twice(SKETCH), rank: 2, segments: 2 };
  const alike = { ...ALL, layers: new Map(NAMES.map((name) => [name, layer])) };
  const [one, two] = [await summaryOf(ALL), await summaryOf(alike)];
  assert.deepEqual([one.segments, two.segments], [1, 2]);
  for (const [i, { output_sqnr_db }] of two.predicted_errors.entries()) {
    assert.ok(Math.abs(output_sqnr_db! - one.predicted_errors[i]!.output_sqnr_db!) < 1e-6);
  }
});

Deno.test("a run that quantizes inputs alone warns of those it knows no histogram of", async () => {
  const flags = ["--phase", "baseline", "--activation-bits", "8", "--num-time-groups", "2"];
  await tell(MIXED, quantize("--dry-run", ...flags), ({ code, stderr }) => {
    assert.equal(code, 0);
    const warnings = stderr.split("\n").filter((line) => line.startsWith("Warning"))
      .map((line) => line.replace(/calibration ".*?"/, "calibration FILE"));
    assert.deepEqual(warnings, [
      "Warning: calibration FILE has no statistics of 1 layer, whose inputs are left as they are: " +
      'the first is "blocks.1.fc2"',
      "Warning: calibration FILE has no histograms of the inputs of 2 layers, which are left as they " +
      'are: the first is "blocks.0.fc1"',
      "Warning: calibration FILE has statistics of 1 layer that the model does not have: " +
      'the first is "strange"',
    ]);
  });
  const { predicted_groups } = await summaryOf(MIXED, "--activation-bits", "4");
  assert.equal(predicted_groups!.bits, 4);
});

Deno.test("inspect tells people the same, and --dry-run as well", async () => {
  const expected = [
    "  3 timesteps from 100 to 900, weighed when recorded, 1 segment, version 2",
    "  size: sketches 256 B, squares 256 B, histograms 24 B, ranges 72 B",
    "  2 layers (blocks.0.fc1, ...) with a sketch of rank 2, to be compensated",
    "  1 layer (blocks.0.fc2) with squares alone, to be measured and not compensated",
    "  1 layer (blocks.1.fc2) without statistics",
    "  1 layer fed the same as another one",
    "  statistics of 1 layer (strange) that the model does not have",
    "",
    "Inputs over time, largest over smallest of the timesteps, by kind of layer:",
    "  layers  count    range      RMS",
    "  fc1         2    2.00x        -",
    "  fc2         1    2.00x    1.00x",
    "",
    "Errors of outputs, rounded to nearest and not compensated, of a few rows of each layer:",
  ];
  for (const command of [inspect(), quantize("--dry-run")]) {
    await tell(MIXED, command, ({ code, stdout }, _, calibration) => {
      assert.equal(code, 0);
      const lines = stdout.split("\n");
      const from = lines.indexOf(`Calibration "${calibration}":`);
      assert.deepEqual(lines.slice(from + 1, from + 1 + expected.length), expected);
      const errors = lines.slice(from + 1 + expected.length, -1);
      assert.deepEqual(errors.slice(3), [
        "",
        "Inputs quantized to 8 bits, expected SQNR in dB by the number of time groups:",
        "  layers      1      2   each  suggested",
        "  all      43.4   47.9   48.2          2",
        "  fc2      43.4   47.9   48.2          2",
      ]);
      assert.match(errors[0]!, /^ {2}INT2: \d+\.\d\d dB, most of it in blocks\.1\.fc1 \d+\.\d% \(/);
    });
  }
});

Deno.test("inspect says what cannot be known of ranges alone, of one timestep, of dead inputs", async () => {
  const ranges = withLayers(Object.fromEntries(NAMES.map((name) => [name, RANGE])));
  await tell(ranges, inspect(), ({ stdout }) => {
    assert.ok(
      stdout.includes(
        "  4 layers (blocks.0.fc1, ...) with histograms or ranges alone, for --activation-bits",
      ),
    );
    assert.ok(stdout.endsWith(
      "\nErrors of outputs: not known, there are no squares\n\n" +
        "Time groups of inputs: not known, there are no histograms\n",
    ));
  });
  const dead = { square: new Float32Array(COLUMNS) };
  const once = {
    timesteps: [7],
    layers: new Map(NAMES.map((name) => [name, dead])),
  };
  const { drift, predicted_errors, timesteps } = await summaryOf(once);
  assert.deepEqual([drift, predicted_errors], [null, []]);
  assert.deepEqual(timesteps, { count: 1, first: 7, last: 7 });
  await tell(once, inspect(), ({ stdout }) => {
    assert.ok(stdout.includes("  1 timestep, 7, all weighing the same, 1 segment, version 2\n"));
    assert.ok(stdout.includes("\nInputs over time: nothing was recorded by time\n"));
  });
});

Deno.test("a calibrated run says what its outputs come to, and reports drift of its layers alone", () =>
  tell(MIXED, quantize(), ({ code, stdout, stderr }, root) => {
    assert.equal(code, 0, stderr);
    const report = parseReport(Deno.readTextFileSync(join(root, "r.json")));
    const { calibration, output_sqnr_db, sqnr_db } = report;
    assert.deepEqual(calibration?.drift?.kinds.map(({ kind, layers }) => [kind, layers]), [
      ["fc1", 2],
      ["fc2", 1],
    ]);
    const line = `Output SQNR ${output_sqnr_db!.toFixed(1)} dB over 3 of 4 layers ` +
      `(weights ${sqnr_db!.toFixed(1)})\n`;
    assert.ok(stderr.includes(line), stderr);
    assert.match(
      stdout,
      /Output SQNR, by the calibration: [\d.-]+ dB -> [\d.]+ dB \(\+[\d.]+ dB\)\n/,
    );
    assert.ok(Deno.readTextFileSync(join(root, "r.log")).includes(line));
  }));

Deno.test("a run without a calibration says nothing of outputs", () =>
  withFiles({ "model/model.safetensors": MODEL }, async (root) => {
    const [model, output, report] = ["model", "out", "r.json"].map((name) => join(root, name));
    const { code, stderr } = await runMain(
      ...["--model", model!, "--output", output!, "--report", report!, "--phase", "optimize"],
    );
    assert.equal(code, 0, stderr);
    assert.ok(!stderr.includes("Output SQNR"));
  }));

Deno.test("a plan without a calibration says nothing of one", () =>
  withFiles({ "model/model.safetensors": MODEL }, async (root) => {
    const { stdout } = await runMain("inspect", join(root, "model"), "--json");
    assert.ok(!Object.hasOwn(JSON.parse(stdout), "calibration"));
  }));
