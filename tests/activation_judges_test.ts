/**
 * What quantized inputs of layers do to two real models, with the calibrations that ship: the image judge in dB,
 * the language judge in nats. All of the figures are in the tables of bench/activations_bench.ts.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEvaluator as createDigitsEvaluator } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS } from "../examples/digits-dit-denoiser/observe.ts";
import type { JudgedPart } from "../examples/forward/load_candidate.ts";
import { readText } from "../examples/small-dlm-denoiser/read_text.ts";
import { createEvaluator as createTextEvaluator } from "../examples/small-dlm-denoiser/evaluate.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings, type Report } from "../mod.ts";
import { withFiles } from "./make_model.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

const digits = await createDigitsEvaluator(example("digits-dit"), undefined, {
  ...INPUTS,
  samples: 10,
});
const text = await createTextEvaluator(example("small-dlm"));

Deno.test.afterAll(() => {
  digits.close();
  text.close();
});

/** Quantizes a model to INT4 by rows, and its inputs, and hands the directory over. */
async function onModel(
  model: string,
  settings: Partial<QuantizeSettings>,
  use: (output: string, report: Report) => Promise<void>,
): Promise<void> {
  await withFiles({}, async (directory) => {
    const output = join(directory, "out");
    const report = await quantizeModel(example(model), output, {
      ...DEFAULT_SETTINGS,
      phase: "optimize",
      bits: 4,
      groupSize: "row",
      modulation: "keep",
      calibration: example(`${model}-data/calibration.safetensors`),
      ...settings,
    });
    await use(output, report);
  });
}

/** One range for all of the time, from the least to the largest input. */
const STATIC = { timeGroups: 1, activationRange: "minmax" } as const;

/** The same for each of four equal groups. */
const EQUAL = { grouping: "equal", activationRange: "minmax" } as const;

/** Of what is judged, by which settings: the least denoiser SQNR, in dB. */
const DECIBEL: [JudgedPart, Partial<QuantizeSettings>, number][] = [
  ["activations", { ...STATIC, activationBits: 8 }, 36.8],
  ["activations", { ...EQUAL, activationBits: 8 }, 37.1],
  ["activations", { activationBits: 8 }, 39.6],
  ["activations", { smoothingWindow: 5, activationBits: 8 }, 39.3],
  ["activations", { activationBits: 6 }, 27.7],
  ["activations", { ...STATIC, activationBits: 4 }, 4],
  ["activations", { activationBits: 4 }, 18.2],
  ["both", { activationBits: 8 }, 33],
  ["both", { activationBits: 8, groupSize: 128 }, 33.5],
];

for (const [part, settings, least] of DECIBEL) {
  const name = `${part} of ${JSON.stringify(settings)}`;
  Deno.test(`the image model keeps ${least} dB with ${name}`, async () => {
    await onModel("digits-dit", settings, async (output) => {
      const { denoiser_sqnr_db: decibel } = await digits.evaluate(output, part);
      assert.ok(decibel >= least, `${decibel} dB`);
    });
  });
}

/** The largest divergence of the language model, in nats. */
const DIVERGENCE: [JudgedPart, Partial<QuantizeSettings>, number][] = [
  ["activations", { activationBits: 8 }, 0.00024],
  ["activations", { activationBits: 6 }, 0.0031],
  ["activations", { activationBits: 4 }, 0.039],
  // What it costs to quantize what is outlying as well.
  ["activations", { outlierInputs: "quantize", activationBits: 8 }, 0.0041],
  ["both", { activationBits: 8 }, 0.002],
];

for (const [part, settings, most] of DIVERGENCE) {
  const name = `${part} of ${JSON.stringify(settings)}`;
  Deno.test(`the language model's KL is at most ${most} with ${name}`, async () => {
    await onModel("small-dlm", settings, async (output) => {
      const { kl } = await text.evaluate(output, part);
      assert.ok(kl <= most, `KL ${kl}`);
    });
  });
}

Deno.test("evaluate() judges all that a checkpoint stores, or what it is told to", async () => {
  await onModel("digits-dit", { activationBits: 8 }, async (output) => {
    const decibel = async (part?: JudgedPart) =>
      (await digits.evaluate(output, part)).denoiser_sqnr_db;
    const [all, both, weights, activations] = [
      await decibel(),
      await decibel("both"),
      await decibel("weights"),
      await decibel("activations"),
    ];
    assert.equal(all, both);
    // Errors of nearly independent causes add up.
    const noise = 10 ** (-weights / 10) + 10 ** (-activations / 10);
    assert.ok(
      Math.abs(both - -10 * Math.log10(noise)) <= 0.5,
      `${both}, ${weights}, ${activations}`,
    );
    await onModel("digits-dit", {}, async (other) => {
      assert.equal((await digits.evaluate(other)).denoiser_sqnr_db, weights);
      await assert.rejects(digits.evaluate(other, "activations"), { name: "BadInputError" });
    });
  });
  const sequences = readText().filter((_, i) => i % 8 === 0);
  const some = await createTextEvaluator(example("small-dlm"), undefined, sequences);
  await onModel("small-dlm", { activationBits: 8 }, async (output) => {
    const kl = async (part?: JudgedPart) => (await some.evaluate(output, part)).kl;
    const both = await kl();
    assert.equal(both, await kl("both"));
    assert.ok(await kl("weights") < both && await kl("activations") < both);
    await onModel("small-dlm", {}, async (other) => {
      assert.equal(await kl("weights"), (await some.evaluate(other)).kl);
      await assert.rejects(some.evaluate(other, "activations"), { name: "BadInputError" });
    });
  });
  some.close();
});

Deno.test("the quantizers of the image model's inputs move smoothly at the same error, searched or not", async () => {
  const reports: Report[] = [];
  for (
    const settings of [{ phase: "baseline" }, { phase: "smooth" }, {}, {
      smoothingWindow: 5,
    }] as const
  ) {
    await onModel("digits-dit", {
      activationBits: 8,
      ...settings,
    }, (_, report) => Promise.resolve(void reports.push(report)));
  }
  const [baseline, smooth, optimized, both] = reports.map(({ activations }) => ({
    score: activations!.smoothness_score,
    db: activations!.grouped_sqnr_db!,
  }));
  assert.ok(baseline!.score <= 0.88 && baseline!.score >= 0.86, `${baseline!.score}`);
  assert.ok(smooth!.score >= 0.983, `${smooth!.score}`);
  assert.ok(smooth!.db >= baseline!.db - 0.2);
  assert.ok(optimized!.score >= 0.925, `${optimized!.score}`);
  assert.ok(optimized!.db >= baseline!.db + 2.5);
  assert.ok(both!.score >= 0.978, `${both!.score}`);
  assert.ok(both!.db >= optimized!.db - 0.2);
});

Deno.test("quantized activations are in what the models draw and write", async () => {
  const coarse = { ...STATIC, activationBits: 4, bits: 8 } as const;
  await onModel("digits-dit", coarse, async (output) => {
    const { samples, recognized_share: share } = await digits.evaluate(output);
    const plain = await digits.evaluate(output, "weights");
    assert.deepEqual([share, plain.recognized_share], [1, 1]);
    // Most grey levels of what is drawn are others.
    const moved = samples.filter((level, i) => level !== plain.samples[i]).length;
    assert.ok(moved >= 0.3 * samples.length, `${moved} of ${samples.length}`);
  });
  await onModel("small-dlm", coarse, async (output) => {
    await onModel("small-dlm", { bits: 8 }, async (other) => {
      const [quantized, plain] = await text.write([output, other]);
      assert.notEqual(quantized, plain);
    });
  });
});
