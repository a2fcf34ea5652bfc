/** What granularity and block size do to two real models: the image judge in dB, the language judge in nats. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDenoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { measureSqnr } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS, observe } from "../examples/digits-dit-denoiser/observe.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { createEvaluator } from "../examples/small-dlm-denoiser/evaluate.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings, type Report } from "../mod.ts";
import { withFiles } from "./make_model.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const DIGITS = example("digits-dit");
const LANGUAGE = example("small-dlm");

const predict = async (directory: string) =>
  observe(createDenoiser(await loadWeights(directory)), { ...INPUTS, samples: 0 }).eps;

const original = await predict(DIGITS);

/** Quantizes a model; hands over its report and its directory. */
async function run<T>(
  model: string,
  settings: Partial<QuantizeSettings>,
  use: (report: Report, output: string) => Promise<T>,
): Promise<T> {
  let result: T | undefined;
  await withFiles({}, async (directory) => {
    const output = join(directory, "out");
    result = await use(
      await quantizeModel(model, output, { ...DEFAULT_SETTINGS, modulation: "keep", ...settings }),
      output,
    );
  });
  return result!;
}

/** Denoiser SQNR of the image model in dB, and its report. */
async function judgeDigits(settings: Partial<QuantizeSettings>): Promise<[number, Report]> {
  return await run(DIGITS, settings, async (report, output): Promise<[number, Report]> => {
    return [measureSqnr(original, await predict(output)), report];
  });
}

/**
 * The least denoiser SQNR, in dB. Of INT2 the figures without a calibration are within luck of each other:
 * rounding every weight a little differently moves them by 0.3 to 0.7 dB.
 */
const DECIBEL: [Partial<QuantizeSettings>, number][] = [
  [{ bits: 8, groupSize: "row" }, 53.3],
  [{ bits: 8 }, 52.7],
  [{ bits: 4, groupSize: "row" }, 27],
  [{ bits: 4 }, 26.8],
  [{ bits: 4, groupSize: 64 }, 28.2],
  [{ bits: 4, groupSize: 32 }, 30.7],
  [{ bits: 2, groupSize: "row" }, 14.8],
  [{ bits: 2 }, 14.7],
  [{ bits: 2, groupSize: "row", phase: "optimize" }, 12.1],
  [{ bits: 2, phase: "optimize" }, 12],
  [{ bits: 2, groupSize: 64, phase: "optimize" }, 13.2],
  [{ bits: 2, groupSize: 32, phase: "optimize" }, 15.3],
];

for (const [settings, least] of DECIBEL) {
  Deno.test(`the image model keeps ${least} dB with ${JSON.stringify(settings)}`, async () => {
    const [decibel, report] = await judgeDigits(settings);
    assert.ok(decibel >= least, `${decibel} dB`);
    assert.equal(report.granularity, "row");
    assert.ok(report.smoothness_score >= 0.95, `score ${report.smoothness_score}`);
  });
}

Deno.test("rows are better than slices of the same width, in a file of the same size", async () => {
  for (const [bits, gain] of [[2, 15], [4, 4], [8, 5]] as const) {
    const [slices, before] = await judgeDigits({ bits, granularity: "slice" });
    const [rows, after] = await judgeDigits({ bits, groupSize: "row" });
    assert.ok(rows >= slices + gain, `INT${bits}: ${slices} -> ${rows} dB`);
    assert.equal(after.model_size_mb, before.model_size_mb);
  }
});

Deno.test("smoothing rows by default costs the image model nothing", async () => {
  for (const bits of [2, 4, 8] as const) {
    const [before] = await judgeDigits({ bits });
    const [after, report] = await judgeDigits({ bits, phase: "smooth" });
    assert.ok(after >= before - 0.3, `INT${bits}: ${before} -> ${after} dB`);
    assert.equal(report.smoothing_window, 1);
    assert.ok(report.smoothness_score >= 0.98, `score ${report.smoothness_score}`);
    // A zero point of two bits moves by whole steps, so that a small move is none once it is stored.
    assert.ok(report.stored_smoothness_score! <= report.smoothness_score + 0.001);
    assert.ok(report.stored_smoothness_score! > report.baseline!.smoothness_score);
  }
});

/** The largest divergence of the language model, in nats, and the least agreement of its first choice. */
const DIVERGENCE: [Partial<QuantizeSettings>, number, number][] = [
  [{ bits: 8 }, 0.00002, 0.995],
  [{ bits: 4, groupSize: "row" }, 0.0041, 0.935],
  [{ bits: 4 }, 0.0031, 0.94],
  [{ bits: 4, groupSize: 64 }, 0.0028, 0.945],
  [{ bits: 2, groupSize: "row" }, 0.135, 0.71],
  [{ bits: 2, groupSize: "row", phase: "optimize" }, 0.061, 0.8],
  [{ bits: 2, phase: "optimize" }, 0.057, 0.8],
  [{ bits: 2, groupSize: 64, phase: "optimize" }, 0.051, 0.82],
];

Deno.test("the language model stays as near to itself as it was seen to, by block size and phase", async (t) => {
  const evaluator = await createEvaluator(LANGUAGE);
  try {
    for (const [settings, most, least] of DIVERGENCE) {
      await t.step(`KL of at most ${most} with ${JSON.stringify(settings)}`, async () => {
        const found = await run(
          LANGUAGE,
          settings,
          (_report, output) => evaluator.evaluate(output),
        );
        assert.ok(found.kl <= most, `KL ${found.kl}`);
        assert.ok(found.agreement >= least, `agreement ${found.agreement}`);
      });
    }
  } finally {
    evaluator.close();
  }
});
