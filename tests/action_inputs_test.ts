/** Every input of the action does what it says where its value is right, and is refused where it is wrong. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeCalibration } from "../lib/calibration/encode_calibration.ts";
import type { Report } from "../lib/report/build_report.ts";
import type { Finding } from "../mod.ts";
import { GATE_INPUTS, RUN_INPUTS } from "../action/read_inputs.ts";
import type { Files } from "./directories.ts";
import { BASELINE, withRepository } from "./gated_repository.ts";
import { pipelineFiles } from "./pipeline_model.ts";
import { ACTION, readAction } from "./read_action.ts";
import { annotationsOf, runAction } from "./run_action.ts";
import { formatReport } from "./make_report.ts";

/** Two timesteps of inputs of both layers of the small model. */
const CALIBRATION = encodeCalibration({
  timesteps: [100, 900],
  layers: new Map([32, 48].map((columns, i) => [`blocks.${i}.fc`, {
    square: new Float32Array(2 * columns).fill(1),
    sketch: new Float32Array(2 * columns).fill(1),
    rank: 1,
    segments: 2,
    min: Float32Array.of(-1, -2),
    max: Float32Array.of(1, 2),
    histogram: Int32Array.of(1, 2, 3, 1, 2, 2, 2, 2),
  }])),
});

const FILES: Files = {
  "repository/c.safetensors": CALIBRATION,
  "repository/loose.json": '{"rules": [{"metric": "sqnr_db", "absolute": 99}]}',
  "repository/file": "",
  ...pipelineFiles("repository/pipe"),
};

/** What a run reports once an input is given: an entry of the report and its value. */
interface RunCase {
  value: string;
  /** Other inputs that it needs. */
  needs?: Record<string, string>;
  told: (report: Report) => unknown;
  expected: unknown;
}

const SMOOTH = { phase: "smooth" };
const OPTIMIZE = { phase: "optimize" };
const CALIBRATED = { ...OPTIMIZE, calibration: "c.safetensors" };
const INPUTS = { calibration: "c.safetensors", "num-time-groups": "2", "activation-bits": "8" };

const RUN_CASES: Record<string, RunCase> = {
  "bit-width": { value: "4", told: (one) => one.bit_width, expected: 4 },
  "num-time-groups": { value: "2", told: (one) => one.num_time_groups, expected: 2 },
  granularity: { value: "slice", told: (one) => one.granularity, expected: "slice" },
  "group-size": { value: "16", told: (one) => one.group_size, expected: 16 },
  format: { value: "sdnq", told: (one) => one.format, expected: "sdnq" },
  symmetric: { value: "true", told: (one) => one.symmetric, expected: true },
  modulation: { value: "keep", told: (one) => one.modulation, expected: "keep" },
  component: {
    value: "vae\n\n  transformer_2 \n",
    needs: { model: "pipe" },
    told: ({ components = [] }) => components.map(({ name }) => name).sort(),
    expected: ["transformer_2", "vae"],
  },
  ignore: {
    value: "none.*\n\n  re:blocks\\.1\\. \n",
    told: (one) => [one.ignore, one.layers.map(({ name }) => name)],
    expected: [["none.*", "re:blocks\\.1\\."], ["blocks.0.fc"]],
  },
  "no-default-ignore": {
    value: "true",
    told: (one) => [one.default_ignore, one.layers.length],
    expected: [false, 3],
  },
  strict: { value: "true", needs: { "group-size": "16" }, told: () => "", expected: "" },
  "smoothness-threshold": {
    value: "0.5",
    told: (one) => one.smoothness_threshold,
    expected: 0.5,
  },
  phase: { value: "smooth", told: (one) => one.phase, expected: "smooth" },
  "smoothing-window": {
    value: "3",
    needs: SMOOTH,
    told: (one) => one.smoothing_window,
    expected: 3,
  },
  "smoothing-method": {
    value: "cubic",
    needs: SMOOTH,
    told: (one) => one.smoothing_method,
    expected: "cubic",
  },
  "markov-weight": {
    value: "2.5",
    needs: OPTIMIZE,
    told: (one) => one.markov_weight,
    expected: 2.5,
  },
  calibration: {
    value: "c.safetensors",
    needs: OPTIMIZE,
    told: ({ calibration }) => [calibration?.timesteps, calibration?.weights],
    expected: [2, "recorded"],
  },
  "timestep-weights": {
    value: "snr",
    needs: CALIBRATED,
    told: ({ calibration }) => calibration?.weights,
    expected: "snr",
  },
  "activation-bits": {
    value: "6",
    needs: INPUTS,
    told: ({ activations }) => activations?.bits,
    expected: 6,
  },
  "activation-range": {
    value: "p99.9",
    needs: INPUTS,
    told: ({ activations }) => activations?.range,
    expected: "p99.9",
  },
  grouping: {
    value: "optimal",
    needs: INPUTS,
    told: ({ activations }) => activations?.grouping,
    expected: "optimal",
  },
  "outlier-inputs": {
    value: "quantize",
    needs: INPUTS,
    told: (one) => one.outlier_inputs,
    expected: "quantize",
  },
  backend: { value: "reference", told: (one) => one.backend, expected: "reference" },
};

for (const [name, { value, needs, told, expected }] of Object.entries(RUN_CASES)) {
  Deno.test(`the action's input ${name} reaches the run`, () =>
    withRepository(null, async ({ workspace }) => {
      const inputs = { model: "model", "missing-baseline": "create", ...needs, [name]: value };
      const result = await runAction({ workspace, inputs });
      assert.equal(result.code, 0, result.log);
      const report = JSON.parse(Deno.readTextFileSync(result.outputs.report!)) as Report;
      assert.deepEqual(told(report), expected);
    }, FILES));
}

/** A figure that got worse, and the input that makes the gate pass it. */
const GATE_CASES: Record<string, { value: string; metric: string }> = {
  "max-score-drop": { value: "1", metric: "smoothness_score" },
  "max-cosine-drop": { value: "1", metric: "cosine_similarity" },
  "max-sqnr-drop": { value: "99", metric: "sqnr_db" },
  "max-layer-drop": { value: "2", metric: "sqnr_db of a layer" },
  "max-size-growth": { value: "1e3", metric: "model_size_mb" },
  "max-new-violations": { value: "9", metric: "violation_count" },
  "allow-vanished-layers": { value: "true", metric: "vanished_layers" },
  rules: { value: "loose.json", metric: "sqnr_db" },
};

/** Runs the gate on a report in which every figure is worse than in the baseline; gives those that fail it. */
async function regressionsWith(given: Record<string, string>): Promise<string[]> {
  let metrics: string[] = [];
  await withRepository(null, async ({ workspace, report }) => {
    const gone = { ...report.layers[0]!, name: "blocks.2.gone" };
    const better = {
      smoothness_score: 1,
      cosine_similarity: 1,
      sqnr_db: 99,
      model_size_mb: report.model_size_mb / 2,
      layers: [
        ...report.layers.map((layer) => ({ ...layer, sqnr_db: layer.sqnr_db! + 1.5 })),
        gone,
      ],
    };
    Deno.mkdirSync(join(workspace, BASELINE, ".."));
    Deno.writeTextFileSync(join(workspace, BASELINE), formatReport({ ...report, ...better }));
    const worse = formatReport({ ...report, violation_count: 9 });
    Deno.writeTextFileSync(join(workspace, "r.json"), worse);
    const result = await runAction({ workspace, inputs: { report: "r.json", ...given } });
    assert.equal(result.outputs.verdict, "regression", result.log);
    const found = JSON.parse(result.outputs.regressions!) as Finding[];
    const names = found.map(({ metric, layer }) =>
      layer === null || metric === "vanished_layers" ? metric : `${metric} of a layer`
    );
    metrics = [...new Set(names)].sort();
  }, FILES);
  return metrics;
}

const WORSE = [...new Set(Object.values(GATE_CASES).map(({ metric }) => metric))].sort();

Deno.test("the action fails for each figure that got worse when nothing is tolerated", async () => {
  assert.deepEqual(await regressionsWith({}), WORSE);
});

for (const [name, { value, metric }] of Object.entries(GATE_CASES)) {
  Deno.test(`the action's input ${name} lets ${metric} get worse`, async () => {
    const found = await regressionsWith({ [name]: value });
    assert.deepEqual(found, WORSE.filter((one) => one !== metric));
  });
}

/** A value that may not be, and the line that says so, or what it begins with. */
interface WrongCase {
  value: string;
  needs?: Record<string, string>;
  message: string | RegExp;
}

const range = (name: string, value: string, from: number, to: number, kind = "a number") =>
  `--${name} is "${value}", must be ${kind} from ${from} to ${to}`;

const choice = (name: string, allowed: string) => `Input ${name} is "yes", must be ${allowed}`;

const WRONG_CASES: Record<string, WrongCase> = {
  model: { value: "none", message: /^Model not found: "none": / },
  output: {
    value: "pipe",
    message: /^Cannot write the output "pipe": it exists and is not empty: /,
  },
  "bit-width": { value: "3", message: '--bit-width is "3", must be 2, 4 or 8' },
  "num-time-groups": {
    value: "0",
    message: range("num-time-groups", "0", 1, 1000, "a whole number"),
  },
  granularity: { value: "x", message: '--granularity is "x", must be row or slice' },
  "group-size": { value: "17", message: /^--group-size is "17", must be .*, or row$/ },
  format: {
    value: "x",
    message: '--format is "x", must be compressed-tensors, sdnq, gguf or comfy',
  },
  symmetric: { value: "yes", message: choice("symmetric", "true or false") },
  modulation: { value: "2", message: '--modulation is "2", must be 8, 4 or keep' },
  component: {
    value: "vae\nnone",
    needs: { model: "pipe" },
    message: /^.*"none".*$/,
  },
  ignore: { value: "a\nre:(", message: /^Cannot read the pattern "re:\(": missing closing \): / },
  "no-default-ignore": { value: "yes", message: choice("no-default-ignore", "true or false") },
  // Without it the second layer, of 48 columns, has smaller blocks than the first one.
  strict: {
    value: "true",
    needs: { "group-size": "32" },
    message: /group-size 32.*"blocks\.1\.fc"/,
  },
  "smoothness-threshold": { value: "0", message: /^--smoothness-threshold is "0", must be / },
  phase: { value: "x", message: '--phase is "x", must be baseline, smooth or optimize' },
  "smoothing-window": {
    value: "21",
    needs: SMOOTH,
    message: range("smoothing-window", "21", 1, 20, "a whole number"),
  },
  "smoothing-method": {
    value: "x",
    needs: SMOOTH,
    message: '--smoothing-method is "x", must be linear, cubic or sigmoid',
  },
  "markov-weight": {
    value: "-1",
    needs: OPTIMIZE,
    message: range("markov-weight", "-1", 0, 1000),
  },
  calibration: {
    value: "none",
    needs: OPTIMIZE,
    message: 'Cannot read "none": no such file or directory',
  },
  "timestep-weights": {
    value: "x",
    needs: CALIBRATED,
    message: '--timestep-weights is "x", must be snr or uniform',
  },
  "activation-bits": {
    value: "5",
    needs: INPUTS,
    message: '--activation-bits is "5", must be 4, 6 or 8',
  },
  "activation-range": {
    value: "x",
    needs: INPUTS,
    message: '--activation-range is "x", must be minmax, p99.9 or optimize',
  },
  grouping: {
    value: "x",
    needs: INPUTS,
    message: '--grouping is "x", must be equal or optimal',
  },
  "outlier-inputs": {
    value: "x",
    needs: INPUTS,
    message: '--outlier-inputs is "x", must be keep or quantize',
  },
  backend: { value: "x", message: '--backend is "x", must be auto, webgpu, wasm or reference' },
  report: { value: "none.json", message: 'Cannot read "none.json": no such file or directory' },
  baseline: { value: "", message: 'Input baseline is "", must name a file' },
  rules: { value: "file", message: /^Cannot read the rules "file": / },
  "max-score-drop": { value: "x", message: range("max-score-drop", "x", 0, 1000) },
  "max-cosine-drop": { value: "-1", message: range("max-cosine-drop", "-1", 0, 1000) },
  "max-sqnr-drop": { value: "1 dB", message: range("max-sqnr-drop", "1 dB", 0, 1000) },
  "max-layer-drop": { value: "x", message: range("max-layer-drop", "x", 0, 1000) },
  "max-size-growth": { value: "1%", message: range("max-size-growth", "1%", 0, 1000) },
  "max-new-violations": {
    value: "0.5",
    message: range("max-new-violations", "0.5", 0, 1000, "a whole number"),
  },
  "allow-vanished-layers": {
    value: "yes",
    message: choice("allow-vanished-layers", "true or false"),
  },
  "missing-baseline": { value: "yes", message: choice("missing-baseline", "fail, warn or create") },
  "html-report": {
    value: "none/page.html",
    message: /^Cannot write html-report "none\/page\.html": /,
  },
  comment: { value: "yes", message: choice("comment", "true or false") },
};

/** Refused only after the work: no file is made before there is something to write. */
const LATE = ["html-report"];

for (const [name, { value, needs, message }] of Object.entries(WRONG_CASES)) {
  Deno.test(`the action says what is wrong with its input ${name}`, () =>
    withRepository({}, async ({ workspace }) => {
      const result = await runAction({
        workspace,
        inputs: { model: "model", ...needs, [name]: value },
      });
      assert.deepEqual([result.outputs.verdict, result.code], ["bad-input", 2], result.log);
      const [note, ...more] = annotationsOf(result);
      assert.deepEqual(more, []);
      const [level, place, text = ""] = note!;
      assert.deepEqual([level, place], ["error", ":"]);
      if (typeof message === "string") assert.equal(text, message);
      else assert.match(text, message);
      assert.doesNotMatch(text, /\n/);
      assert.ok(
        result.summary.startsWith(`## Isotherm: bad input\n\n    ${text}\n`),
        result.summary,
      );
      assert.equal(/Quantizing/.test(result.log), LATE.includes(name), result.log);
    }, FILES));
}

Deno.test("the tables have every input", () => {
  const flags = [...Object.keys(RUN_INPUTS), ...Object.keys(GATE_INPUTS)];
  const tried = [...Object.keys(RUN_CASES), ...Object.keys(GATE_CASES)];
  assert.deepEqual(tried.sort(), flags.sort());
  // Any name will do for an artifact.
  const names = Object.keys(readAction(ACTION).inputs).filter((name) => name !== "artifact");
  assert.deepEqual(Object.keys(WRONG_CASES), names);
});
