/** What the phases do to a real diffusion model, with the figures they must reach. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDenoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { createEvaluator, measureSqnr } from "../examples/digits-dit-denoiser/evaluate.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { INPUTS, observe } from "../examples/digits-dit-denoiser/observe.ts";
import {
  type Bits,
  DEFAULT_SETTINGS,
  quantizeModel,
  type QuantizeSettings,
  type Report,
  verifyCheckpoint,
} from "../mod.ts";
import { withFiles } from "./make_model.ts";

const MODEL = fileURLToPath(new URL("../examples/digits-dit", import.meta.url));

/** The noise that a model predicts for the fixed inputs; it draws nothing. */
async function predict(directory: string): Promise<Float32Array> {
  return observe(createDenoiser(await loadWeights(directory)), { ...INPUTS, samples: 0 }).eps;
}

const original = await predict(MODEL);

/** Denoiser SQNR in dB. */
async function measureDenoiser(directory: string): Promise<number> {
  return measureSqnr(original, await predict(directory));
}

/** Quantizes the digits model by slices; hands over its report, its directory and its denoiser SQNR. */
async function onDigits<T>(
  settings: Partial<QuantizeSettings>,
  use: (report: Report, output: string) => T | Promise<T>,
): Promise<T> {
  let result: T | undefined;
  await withFiles({}, async (directory) => {
    const output = join(directory, "out");
    const report = await quantizeModel(MODEL, output, {
      ...DEFAULT_SETTINGS,
      granularity: "slice",
      modulation: "keep",
      ...settings,
    });
    result = await use(report, output);
  });
  return result!;
}

async function denoiserOf(settings: Partial<QuantizeSettings>): Promise<[number, Report]> {
  return await onDigits(
    settings,
    async (report, output): Promise<[number, Report]> => [await measureDenoiser(output), report],
  );
}

/** For each width and number of time groups: least gain over phase baseline and least SQNR of optimize, in dB. */
const OPTIMIZE: [Bits, number, number, number][] = [
  [2, 4, 14, 14],
  [2, 8, 15, 15],
  [4, 4, 2, 24],
  [4, 8, 1, 25],
  [8, 4, -0.1, 48],
  [8, 8, -0.1, 48],
];

for (const [bits, timeGroups, gain, least] of OPTIMIZE) {
  Deno.test(`optimize gains at least ${gain} dB at INT${bits}, G=${timeGroups}`, async () => {
    const [before, baseline] = await denoiserOf({ bits, timeGroups });
    const [after, report] = await denoiserOf({ bits, timeGroups, phase: "optimize" });
    assert.ok(after - before >= gain && after >= least, `${before} -> ${after} dB`);
    assert.ok(report.smoothness_score >= baseline.smoothness_score);
    if (bits < 8) assert.ok(report.smoothness_score >= 0.9, `score ${report.smoothness_score}`);
    assert.equal(report.violation_count, 0);
    // What it says of phase baseline is what a run of phase baseline says.
    const { baseline: own, change } = report;
    for (const key of ["smoothness_score", "violation_count", "model_size_mb"] as const) {
      assert.equal(own![key], baseline[key]);
      assert.equal(change![key], report[key] - baseline[key]);
    }
    assert.ok(Math.abs(own!.cosine_similarity - baseline.cosine_similarity) < 1e-6);
    assert.ok(Math.abs(own!.sqnr_db! - baseline.sqnr_db!) < 1e-4);
    assert.ok(Math.abs(change!.sqnr_db! - (report.sqnr_db! - own!.sqnr_db!)) < 1e-9);
  });
}

/**
 * For each width and number of time groups: the most that smoothing moves the denoiser SQNR, in dB. From
 * INT4 on, rounding a few rows anew moves it by up to a dB either way at G=8, where windows cover most
 * rows of the small matrices.
 */
const SMOOTH: [Bits, number, number][] = [
  [2, 4, 0.3],
  [2, 8, 0.3],
  [4, 4, 0.3],
  [4, 8, 1],
  [8, 4, 1],
  [8, 8, 1.1],
];

for (const [bits, timeGroups, most] of SMOOTH) {
  Deno.test(`smooth scores 0.95 and moves ${most} dB at most at INT${bits}, G=${timeGroups}`, async () => {
    const [before, baseline] = await denoiserOf({ bits, timeGroups });
    const [after, report] = await denoiserOf({ bits, timeGroups, phase: "smooth" });
    assert.ok(report.smoothness_score >= 0.95, `score ${report.smoothness_score}`);
    assert.ok(report.stored_smoothness_score! >= baseline.smoothness_score);
    assert.ok(report.stored_smoothness_score! <= report.smoothness_score + 1e-9);
    assert.equal(report.violation_count, 0);
    assert.ok(Math.abs(after - before) <= most, `${before} -> ${after} dB`);
    assert.equal(report.baseline!.smoothness_score, baseline.smoothness_score);
    assert.equal(report.baseline!.sqnr_db, baseline.sqnr_db);
  });
}

Deno.test("smoothing what phase optimize chose at INT2 keeps what it gained", async () => {
  const [before] = await denoiserOf({ phase: "optimize" });
  const [after, report] = await denoiserOf({ phase: "optimize", smoothingWindow: 5 });
  assert.ok(Math.abs(after - before) <= 0.3, `${before} -> ${after} dB`);
  assert.ok(report.smoothness_score >= 0.95);
  assert.equal(report.smoothing_window, 5);
  assert.equal(report.markov_weight, 1);
});

Deno.test("an optimized INT2 model draws digits that are recognised", async () => {
  const evaluator = await createEvaluator(MODEL);
  try {
    assert.equal(evaluator.original.recognized_share, 1);
    for (const timeGroups of [4, 8]) {
      const share = await onDigits(
        { timeGroups, phase: "optimize" },
        async (_, output) => (await evaluator.evaluate(output)).recognized_share,
      );
      assert.ok(share >= 0.95, `${share} recognised at G=${timeGroups}`);
    }
  } finally {
    evaluator.close();
  }
});

for (
  const settings of [
    { phase: "smooth", smoothingMethod: "cubic" },
    { phase: "optimize" },
    { phase: "optimize", smoothingWindow: 20, bits: 4 },
    { phase: "optimize", groupSize: 32, bits: 4 },
    { phase: "smooth", groupSize: 32, bits: 8, smoothingMethod: "sigmoid" },
  ] satisfies Partial<QuantizeSettings>[]
) {
  Deno.test(`the checkpoint is as good as its report says with ${JSON.stringify(settings)}`, async () => {
    await onDigits(settings, async (report, output) => {
      const found = await verifyCheckpoint(output, MODEL);
      assert.ok(Math.abs(found.cosine_similarity - report.cosine_similarity) < 1e-6);
      assert.ok(Math.abs(found.sqnr_db! - report.sqnr_db!) < 1e-3);
      for (const [i, layer] of report.layers.entries()) {
        assert.ok(Math.abs(found.layers[i]!.sqnr_db! - layer.sqnr_db!) < 1e-3, layer.name);
      }
    });
  });
}
