/** Runs with a calibration: what they choose, what they say of it, and what they refuse. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeCalibration, type RecordedLayer } from "../lib/calibration/encode_calibration.ts";
import { compensate } from "../lib/compute/kernels/compensate.ts";
import { createCompensator } from "../lib/compute/wasm_compensation.ts";
import { planCompensation } from "../lib/params/plan_compensation.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings, type Report } from "../mod.ts";
import type { Calibration, LayerStatistics } from "../lib/calibration/calibration.ts";
import type { Backend } from "../lib/jobs/backend.ts";
import type { LayerPlan } from "../lib/plan/plan_layer.ts";
import { checkRank } from "../lib/run/plan_run.ts";
import { shareInputs } from "../lib/run/share_inputs.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { contentOf, namesIn } from "./directories.ts";
import { encodeFile, matrix, noise, withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Columns of the layers. */
const COLUMNS = 64;

/** Samples of inputs that depend on each other: a few directions, and a little of everything. */
function sampleInputs(columns: number, seed: number): Float64Array[] {
  const value = noise(seed);
  return Array.from({ length: 200 }, (_, i) => {
    const strengths = Array.from({ length: 6 }, (_, k) => value(i * 97 + k));
    return Float64Array.from({ length: columns }, (_, c) => {
      const common = strengths.reduce((sum, s, k) => sum + s * value(9000 + c * 6 + k), 0);
      return common + 0.1 * value(50000 + i * columns + c);
    });
  });
}

/** All of their second moments, as a sketch of full rank: the Cholesky factor. */
function wholeMoments(samples: readonly Float64Array[]): RecordedLayer {
  const n = samples[0]!.length;
  const gram = Array.from(
    { length: n },
    (_, a) =>
      Float64Array.from(
        { length: n },
        (_, b) => samples.reduce((sum, x) => sum + x[a]! * x[b]!, 0) / samples.length,
      ),
  );
  const sketch = new Float32Array(n * n);
  const factor = gram.map(() => new Float64Array(n));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = gram[i]![j]!;
      for (let k = 0; k < j; k++) sum -= factor[i]![k]! * factor[j]![k]!;
      factor[i]![j] = i === j ? Math.sqrt(Math.max(sum, 0)) : sum / factor[j]![j]!;
      sketch[i * n + j] = factor[i]![j]!;
    }
  }
  return { square: Float32Array.from(gram, (row, c) => row[c]!), sketch, rank: n };
}

const SAMPLES = sampleInputs(COLUMNS, 3);
const MOMENTS = wholeMoments(SAMPLES);
const TENSORS = [
  matrix("blocks.0.attn.q_proj.weight", 33, COLUMNS, noise(1), "BF16"),
  matrix("blocks.0.attn.k_proj.weight", 20, COLUMNS, noise(2), "F16"),
  matrix("blocks.0.mlp.fc.weight", 48, COLUMNS, noise(4)),
  matrix("blocks.1.mlp.fc.weight", 16, COLUMNS, noise(5)),
];
const CALIBRATION = encodeCalibration({
  timesteps: [100, 500, 900],
  sameInput: new Map([["blocks.0.attn.k_proj", "blocks.0.attn.q_proj"]]),
  layers: new Map<string, RecordedLayer>([
    ["blocks.0.attn.q_proj", MOMENTS],
    ["blocks.0.mlp.fc", MOMENTS],
    ["blocks.1.mlp.fc", { square: MOMENTS.square! }],
  ]),
});

const OPTIMIZE: QuantizeSettings = { ...DEFAULT_SETTINGS, phase: "optimize", groupSize: 32 };

/** A model, its calibration and a place for outputs. */
function withModel(use: (root: string, calibration: string) => Promise<void>): Promise<void> {
  return withFiles(
    {
      "model/model.safetensors": encodeFile(TENSORS),
      "calibration.safetensors": CALIBRATION,
    },
    (root) => use(root, join(root, "calibration.safetensors")),
  );
}

function layerOf(report: Report, name: string): Report["layers"][number] {
  return report.layers.find((layer) => layer.name === name)!;
}

let outputs = 0;

async function run(
  root: string,
  settings: QuantizeSettings,
): Promise<{ report: Report; output: string }> {
  const output = join(root, `out-${outputs++}`);
  return { report: await quantizeModel(join(root, "model"), output, settings), output };
}

for (const granularity of ["row", "slice"] as const) {
  for (const bits of [2, 4, 8] as const) {
    Deno.test(`calibration makes the output of INT${bits} by ${granularity}s better, and its weights worse`, () =>
      withModel(async (root, calibration) => {
        const settings = { ...OPTIMIZE, bits, granularity };
        const plain = await run(root, settings);
        const found = await run(root, { ...settings, calibration });
        // Ranks of 0 measure without compensating.
        const squares = join(root, "squares.safetensors");
        const { square } = MOMENTS;
        Deno.writeFileSync(
          squares,
          encodeCalibration({
            timesteps: [100],
            layers: new Map(TENSORS.map(({ name }) => [name.slice(0, -".weight".length), {
              square: square!,
            }])),
          }),
        );
        const measured = await run(root, { ...settings, calibration: squares });
        assert.equal(plain.report.output_sqnr_db, undefined);
        const isNear = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-4, `${a} ${b}`);
        isNear(measured.report.sqnr_db!, plain.report.sqnr_db!);
        const [fc, other] = ["blocks.0.mlp.fc", "blocks.1.mlp.fc"].map((name) =>
          layerOf(found.report, name)
        );
        assert.ok(found.report.sqnr_db! < plain.report.sqnr_db!);
        assert.equal(fc!.compensation_rank, COLUMNS);
        assert.equal(other!.compensation_rank, 0);
        isNear(other!.sqnr_db!, layerOf(plain.report, "blocks.1.mlp.fc").sqnr_db!);
        const without = layerOf(measured.report, "blocks.0.mlp.fc");
        assert.ok(fc!.output_sqnr_db! > without.output_sqnr_db!, `${fc!.output_sqnr_db}`);
        assert.equal(found.report.model_size_mb, plain.report.model_size_mb);
        assert.deepEqual(found.report.calibration, {
          timesteps: 3,
          segments: 1,
          rank: COLUMNS,
          weights: "recorded",
          compensated_layers: 3,
          other_layers: 1,
        });
      }));
  }
}

/** The output SQNR of a layer of a checkpoint in dB, on some of its rows, computed from the samples. */
async function outputOf(root: string, output: string, name: string, rows: number): Promise<number> {
  const [before, after] = [await loadWeights(join(root, "model")), await loadWeights(output)];
  const [w, v] = [before.get(`${name}.weight`)!, after.get(`${name}.weight`)!];
  const damping = 0.01 * MOMENTS.square!.reduce((sum, value) => sum + value, 0) / COLUMNS;
  const energy = (x: Float32Array) =>
    SAMPLES.reduce((sum, sample) => {
      const dot = x.reduce((total, value, c) => total + value * sample[c]!, 0);
      return sum + dot * dot / SAMPLES.length;
    }, 0) + damping * x.reduce((sum, value) => sum + value * value, 0);
  let [signal, error] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const own = w.subarray(row * COLUMNS, (row + 1) * COLUMNS);
    signal += energy(own);
    error += energy(own.map((value, c) => v[row * COLUMNS + c]! - value));
  }
  return 10 * Math.log10(signal / error);
}

/** How the codes of a layer may have been made. */
const WAYS: Partial<QuantizeSettings>[] = [
  {},
  { smoothingWindow: 3 },
  { markovWeight: 5 },
  { granularity: "slice" },
  { granularity: "slice", smoothingWindow: 3 },
];

for (const way of WAYS) {
  Deno.test(`the output figures of a layer are those of its samples, with ${JSON.stringify(way)}`, () =>
    withModel(async (root, calibration) => {
      const { output, report } = await run(root, { ...OPTIMIZE, bits: 4, ...way, calibration });
      const name = "blocks.0.mlp.fc";
      const expected = await outputOf(root, output, name, 48);
      const found = layerOf(report, name).output_sqnr_db!;
      assert.ok(Math.abs(found - expected) < 0.01, `${found}, not ${expected}`);
    }));
}

Deno.test("the baseline's output figures are those of its first rows, without compensation", () =>
  withModel(async (root, calibration) => {
    for (const bits of [2, 4] as const) {
      const settings = { ...OPTIMIZE, bits };
      const plain = await run(root, { ...settings, phase: "baseline" });
      const { report } = await run(root, { ...settings, calibration });
      const name = "blocks.0.mlp.fc";
      const expected = await outputOf(root, plain.output, name, 16);
      const found = layerOf(report, name).baseline!.output_sqnr_db!;
      assert.ok(Math.abs(found - expected) < 0.01, `${found}, not ${expected}`);
      const { baseline, change, output_sqnr_db } = report;
      assert.equal(change!.output_sqnr_db, output_sqnr_db! - baseline!.output_sqnr_db!);
    }
  }));

Deno.test("modulation without statistics is no gap of a calibration", () =>
  withFiles(
    {
      "model/model.safetensors": encodeFile([
        ...TENSORS,
        matrix("blocks.0.adaLN_modulation.1.weight", 16, COLUMNS, noise(6)),
      ]),
      "calibration.safetensors": encodeCalibration({
        timesteps: [1],
        layers: new Map(
          TENSORS.map(({ name }) => [name.slice(0, -".weight".length), MOMENTS]),
        ),
      }),
    },
    async (root) => {
      const { code, stderr } = await runMain(
        ...["--model", join(root, "model"), "--output", join(root, "out"), "--strict"],
        ...["--report", join(root, "r.json"), "--phase", "optimize", "--group-size", "32"],
        ...["--calibration", join(root, "calibration.safetensors")],
      );
      assert.equal(code, 0, stderr);
      assert.ok(!stderr.includes("Warning"), stderr);
    },
  ));

Deno.test("inputs are read once for layers that share them, unless too many are between", async () => {
  const count = 20;
  const shape = { rows: 4, columns: 8, bits: 4, scaleDtype: "F32", symmetric: false } as const;
  const names = Array.from({ length: count }, (_, i) => [`a.${i}`, `b.${i}`]).flat();
  const layers = names.map((name) => ({ ...shape, name })) as unknown as LayerPlan[];
  const statistics = (name: string) => ({ name }) as unknown as LayerStatistics;
  const file = {
    layers: new Map(names.map((name) => [name, statistics(name.replace("b", "a"))])),
  } as unknown as Calibration;
  const read: string[] = [];
  const backend = {
    run: (job: { statistics: LayerStatistics }) => {
      read.push(job.statistics.name);
      return Promise.resolve(undefined);
    },
  } as unknown as Backend;
  const lender = shareInputs(file, layers, OPTIMIZE, backend);
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const lend = (name: string) => lender.lend(byName.get(name)!, () => Promise.resolve());
  for (let i = 0; i < count; i++) await lend(`a.${i}`);
  assert.equal(read.length, count);
  await lend("b.19");
  assert.equal(read.length, count);
  await lend("b.0");
  assert.deepEqual(read.slice(count), ["a.0"]);
});

Deno.test("a sketch that no worker has room for is refused, with a rank that would do", () => {
  const layers = new Map([["fc", { rank: 20000, segments: 1 } as unknown as LayerStatistics]]);
  assert.throws(() => checkRank({ label: "c", layers }, "fc", 20000), {
    message:
      'Cannot use calibration "c": the sketch of "fc" has rank 20000, which takes 3.2 GB in ' +
      "each worker: record it with a rank of at most 6710",
  });
  checkRank({ label: "c", layers }, "fc", 6000);
  checkRank({ label: "c", layers }, "other", 20000);
});

Deno.test("all backends and formats make the same of a calibration, and verify agrees", () =>
  withModel(async (root, calibration) => {
    const settings = { ...OPTIMIZE, bits: 4, calibration } as const;
    const first = await run(root, { ...settings, backend: "wasm" });
    for (const backend of ["reference", "wasm"] as const) {
      const again = await run(root, { ...settings, backend });
      assert.deepEqual(contentOf(again.output), contentOf(first.output));
    }
    for (const format of ["compressed-tensors", "sdnq", "comfy"] as const) {
      const report = join(root, `${format}.json`);
      const output = join(root, format);
      const made = await runMain(
        ...["--model", join(root, "model"), "--output", output, "--report", report],
        ...["--bit-width", "4", "--phase", "optimize", "--format", format],
        ...["--calibration", calibration],
      );
      assert.equal(made.code, 0, made.stderr);
      const checked = await runMain(
        ...["verify", output, "--against", join(root, "model"), "--report", report],
      );
      assert.equal(checked.code, 0, checked.stderr);
    }
  }));

Deno.test("smoothing encodes the rows it moves again, with compensation", () =>
  withModel(async (root, calibration) => {
    const settings = { ...OPTIMIZE, bits: 4, calibration } as const;
    const found = await run(root, settings);
    const smooth = await run(root, { ...settings, smoothingWindow: 1 });
    const [before, after] = [found, smooth].map(({ report }) => report.output_sqnr_db!);
    assert.ok(Math.abs(before! - after!) < 2, `${before} ${after}`);
    assert.notEqual(before, after);
    const slices = { ...settings, granularity: "slice" } as const;
    const bySlices = await run(root, { ...slices, smoothingWindow: 2 });
    assert.ok(bySlices.report.output_sqnr_db! > 10);
  }));

Deno.test("segments are measured by themselves, and weighed as asked", () =>
  withModel(async (root) => {
    const path = join(root, "segments.safetensors");
    const other = wholeMoments(sampleInputs(COLUMNS, 8));
    const join2 = (key: "square" | "sketch") => Float32Array.of(...MOMENTS[key]!, ...other[key]!);
    const layer = { square: join2("square"), sketch: join2("sketch"), rank: COLUMNS, segments: 2 };
    const encode = (own: RecordedLayer) =>
      encodeCalibration({ timesteps: [10, 990], layers: new Map([["blocks.0.mlp.fc", own]]) });
    Deno.writeFileSync(path, encode(layer));
    const settings = { ...OPTIMIZE, bits: 4, calibration: path } as const;
    const uniform = (await run(root, settings)).report;
    const snr = (await run(root, { ...settings, timestepWeights: "snr" })).report;
    assert.equal(uniform.output_sqnr_db_by_segment?.length, 2);
    for (
      const [s, own] of layerOf(uniform, "blocks.0.mlp.fc").output_sqnr_db_by_segment!.entries()
    ) {
      assert.ok(Math.abs(own! - uniform.output_sqnr_db_by_segment![s]!) < 1e-9);
    }
    // Early timesteps have little noise and count for more.
    assert.ok(snr.output_sqnr_db_by_segment![0]! > uniform.output_sqnr_db_by_segment![0]! + 1);
    assert.ok(snr.output_sqnr_db_by_segment![1]! < uniform.output_sqnr_db_by_segment![1]! - 1);
    assert.equal(snr.calibration?.weights, "snr");
    assert.equal(snr.calibration?.segments, 2);
  }));

Deno.test("one compensator takes layers of all dtypes and widths with the same inputs", () => {
  const moments = { columns: COLUMNS, rank: COLUMNS, ...MOMENTS };
  const wide = {
    ...moments,
    sketch: Float64Array.from(MOMENTS.sketch!),
    square: Float64Array.from(MOMENTS.square!),
    diagonal: new Float64Array(COLUMNS).fill(0.01),
  };
  const inputs = planCompensation(wide, [wide, {
    ...wide,
    diagonal: wide.diagonal.map((d) => 9 * d),
  }]);
  const once = createCompensator();
  const kinds = [["F32", 2], ["BF16", 2], ["F32", 8], ["F16", 4], ["BF16", 8]] as const;
  for (const [dtype, bits] of kinds) {
    const rows = 20;
    const { data } = matrix("a", rows, COLUMNS, noise(bits), dtype);
    const tile = { dtype, rows, columns: COLUMNS, blockRows: 1, blockColumns: COLUMNS };
    const params = {
      scale: new Float32Array(rows).fill(2 / (2 ** bits - 1)),
      zero_point: new Uint8Array(rows).fill(2 ** (bits - 1)),
    };
    const [found, expected] = [once, compensate].map((run) =>
      run(data, tile, bits, params, inputs)
    );
    assert.deepEqual(found!.packed, expected!.packed);
    const parts = expected!.sums.output!.segments!;
    assert.equal(parts.length, 2);
    for (const [s, own] of parts.entries()) {
      const { signal, error } = found!.sums.output!.segments![s]!;
      assert.ok(Math.abs(signal / own.signal - 1) < 1e-6, `${dtype} ${bits}: ${signal}`);
      assert.ok(Math.abs(error / own.error - 1) < 1e-6, `${dtype} ${bits}: ${error}`);
    }
  }
});

/** Bad calibrations: what is written to the file, the flags, and the message. */
const REFUSED: [title: string, file: Uint8Array | null, flags: string[], message: string][] = [
  [
    "a file of another model",
    encodeCalibration({
      timesteps: [1],
      layers: new Map([["blocks.0.mlp.fc", { square: new Float32Array(32).fill(1) }]]),
    }),
    ["--phase", "optimize"],
    'its statistics of layer "blocks.0.mlp.fc" are of 32 columns, must be of 64',
  ],
  ["a file cut short", CALIBRATION.slice(0, -100), ["--phase", "optimize"], "Cannot read"],
  ["a calibration in another phase", CALIBRATION, [], "--calibration needs --phase optimize"],
  [
    "weights without a calibration",
    null,
    ["--phase", "optimize", "--timestep-weights", "snr"],
    "--timestep-weights needs --calibration",
  ],
  [
    "weights of timesteps that are added up already",
    CALIBRATION,
    ["--phase", "optimize", "--timestep-weights", "snr"],
    "it has one segment, in which they are added up already",
  ],
  [
    "unknown weights",
    CALIBRATION,
    ["--phase", "optimize", "--timestep-weights", "log"],
    '--timestep-weights is "log", must be snr or uniform',
  ],
];

for (const [title, file, flags, message] of REFUSED) {
  Deno.test(`a run refuses ${title} before any work`, () =>
    withModel(async (root, calibration) => {
      if (file !== null) Deno.writeFileSync(calibration, file);
      const before = namesIn(root);
      const { code, stderr, stdout } = await runMain(
        ...["--model", join(root, "model"), "--output", join(root, "out")],
        ...["--report", join(root, "report.json"), ...flags],
        ...file === null ? [] : ["--calibration", calibration],
      );
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(message), stderr);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
      assert.equal(stdout, "");
      assert.deepEqual(namesIn(root), before);
    }));
}
