/**
 * What compensated errors do to two real models, with the calibrations that ship: the image judge in dB, the
 * language judge in nats. Calibrations of all ranks are left to bench/calibration_bench.ts, since recording
 * them takes minutes.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { recordDigits } from "../examples/calibration/record_digits.ts";
import { recordSmallDlm } from "../examples/calibration/record_small_dlm.ts";
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
const SHIPPED = {
  [DIGITS]: example("digits-dit-data/calibration.safetensors"),
  [LANGUAGE]: example("small-dlm-data/calibration.safetensors"),
};

const predict = async (directory: string) =>
  observe(createDenoiser(await loadWeights(directory)), { ...INPUTS, samples: 0 }).eps;

const original = await predict(DIGITS);
const evaluator = await createEvaluator(LANGUAGE);

Deno.test.afterAll(() => evaluator.close());

/** What the judge of a model says, in dB or as KL, and the report. */
type Judged = [found: number, report: Report];

/** What was judged with the calibrations that ship. */
const known = new Map<string, Promise<Judged>>();

/** Quantizes a model with the calibration that ships, and judges it, once. */
function judgeShipped(model: string, settings: Partial<QuantizeSettings>): Promise<Judged> {
  const key = JSON.stringify([model, settings]);
  const found = known.get(key) ?? judge(model, settings);
  known.set(key, found);
  return found;
}

/** Quantizes a model with a calibration, by default the one that ships, and judges it. */
async function judge(
  model: string,
  settings: Partial<QuantizeSettings>,
  calibration?: Uint8Array<ArrayBuffer>,
): Promise<Judged> {
  let result: Judged | undefined;
  const files = calibration === undefined ? {} : { "calibration.safetensors": calibration };
  await withFiles(files, async (directory) => {
    const output = join(directory, "out");
    const report = await quantizeModel(model, output, {
      ...DEFAULT_SETTINGS,
      phase: "optimize",
      modulation: "keep",
      calibration: calibration === undefined
        ? SHIPPED[model]
        : join(directory, "calibration.safetensors"),
      ...settings,
    });
    const found = model === DIGITS
      ? measureSqnr(original, await predict(output))
      : (await evaluator.evaluate(output)).kl;
    result = [found, report];
  });
  return result!;
}

/** The least denoiser SQNR in dB, and the largest divergence in nats. */
const FIGURES: [Partial<QuantizeSettings>, number, number][] = [
  [{ bits: 2, groupSize: "row" }, 22, 0.03],
  [{ bits: 2, groupSize: 64 }, 22.5, 0.025],
  [{ bits: 4, groupSize: "row" }, 34, 0.0018],
  [{ bits: 4, granularity: "slice" }, 31.8, 0.0033],
];

for (const [settings, least, most] of FIGURES) {
  const name = JSON.stringify(settings);
  Deno.test(`calibrated, the image model keeps ${least} dB with ${name}`, async () => {
    const [decibel, report] = await judgeShipped(DIGITS, settings);
    assert.ok(decibel >= least, `${decibel} dB`);
    assert.equal(report.calibration!.compensated_layers, 16);
    // What is told of the weights goes the other way.
    assert.ok(report.sqnr_db! < report.baseline!.sqnr_db!);
  });
  Deno.test(`calibrated, the language model's KL is at most ${most} with ${name}`, async () => {
    const [kl, report] = await judgeShipped(LANGUAGE, settings);
    assert.ok(kl <= most, `KL ${kl}`);
    assert.equal(report.calibration!.compensated_layers, 28);
  });
}

Deno.test("an image model calibrated at one time alone is worse by 3 dB and more", async () => {
  const group = { from: 500, to: 600, timesteps: 10, statistics: "sketch" } as const;
  const calibration = await recordDigits(group);
  for (const bits of [2, 4] as const) {
    const [alone] = await judge(DIGITS, { bits, groupSize: "row" }, calibration);
    const [all] = await judgeShipped(DIGITS, { bits, groupSize: "row" });
    assert.ok(alone <= all - 3, `INT${bits}: ${alone} dB, ${all} dB over all of the time`);
  }
});

Deno.test("a language model calibrated on unmasked text is worse by a fifth and more", async () => {
  const unmasked = { from: 0, to: 0, levels: 1, sequences: 64, statistics: "sketch" } as const;
  const calibration = await recordSmallDlm(unmasked);
  for (const bits of [2, 4] as const) {
    const [alone] = await judge(LANGUAGE, { bits, groupSize: "row" }, calibration);
    const [all] = await judgeShipped(LANGUAGE, { bits, groupSize: "row" });
    assert.ok(alone >= 1.2 * all, `INT${bits}: KL ${alone}, ${all} over all mask levels`);
  }
});
