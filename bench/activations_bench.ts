/**
 * What quantized inputs of layers cost, and what time groups are worth: two judges on one range for all of the
 * time, four groups and eight; the inputs alone, and with weights of INT4. Then the layers that gain.
 * `deno run --allow-read --allow-write --allow-env bench/activations_bench.ts` prints the tables.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEvaluator as createDigitsEvaluator } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS } from "../examples/digits-dit-denoiser/observe.ts";
import type { JudgedPart } from "../examples/forward/load_candidate.ts";
import { createEvaluator as createTextEvaluator } from "../examples/small-dlm-denoiser/evaluate.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings, type Report } from "../mod.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

const WIDTHS = [8, 6, 4] as const;

/** How inputs are quantized, by a name. */
const WAYS: [string, Partial<QuantizeSettings>][] = [
  ["one range, from the least to the largest", { timeGroups: 1, activationRange: "minmax" }],
  ["one range, searched", { timeGroups: 1 }],
  ["4 equal groups, from the least to the largest", {
    activationRange: "minmax",
    grouping: "equal",
  }],
  ["4 equal groups, searched", { grouping: "equal" }],
  ["4 optimal groups, searched", {}],
  ["the same, outlying inputs too", { outlierInputs: "quantize" }],
  ["8 optimal groups, searched", { timeGroups: 8 }],
];

/** A model, and what its judge says of a checkpoint. */
interface Contender {
  model: string;
  judge: (directory: string, part: JudgedPart) => Promise<string>;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const directory = Deno.makeTempDirSync({ prefix: "isotherm-activations-" });
const digits = await createDigitsEvaluator(example("digits-dit"), undefined, {
  ...INPUTS,
  samples: 0,
});
const text = await createTextEvaluator(example("small-dlm"));

const CONTENDERS: Contender[] = [
  {
    model: "digits-dit",
    judge: async (...what) => (await digits.evaluate(...what)).denoiser_sqnr_db.toFixed(2),
  },
  { model: "small-dlm", judge: async (...what) => (await text.evaluate(...what)).kl.toFixed(5) },
];

/** Quantizes a model to INT4 by rows, calibrated, and its inputs. */
async function quantize(
  model: string,
  settings: Partial<QuantizeSettings>,
): Promise<[output: string, report: Report]> {
  const output = join(directory, "out");
  const report = await quantizeModel(example(model), output, {
    ...DEFAULT_SETTINGS,
    phase: "optimize",
    bits: 4,
    groupSize: "row",
    modulation: "keep",
    calibration: example(`${model}-data/calibration.safetensors`),
    ...settings,
    overwrite: true,
  });
  return [output, report];
}

/** What both judges say, at each width. */
async function compareWays(title: string, part: JudgedPart): Promise<void> {
  print(`\n| ${title} | ${WIDTHS.map((bits) => `${bits} bits`).join(" | ")} |`);
  print(`|---|${WIDTHS.map(() => "---").join("|")}|`);
  for (const [name, settings] of WAYS) {
    const cells: string[] = [];
    for (const activationBits of WIDTHS) {
      const figures: string[] = [];
      for (const { model, judge } of CONTENDERS) {
        const [output] = await quantize(model, { ...settings, activationBits });
        figures.push(await judge(output, part));
      }
      cells.push(figures.join(", "));
    }
    print(`| ${name} | ${cells.join(" | ")} |`);
  }
}

/** What is expected of each layer's input with one range and with eight groups, the largest gain first. */
async function listLayers(model: string, activationBits: typeof WIDTHS[number]): Promise<void> {
  const [, { activations }] = await quantize(model, { timeGroups: 8, activationBits });
  const layers = activations!.layers.map(({ name, ...figures }) => {
    const [one, groups] = [figures.static_sqnr_db!, figures.grouped_sqnr_db!];
    return { name, one, groups, most: figures.timestep_sqnr_db!, gain: groups - one };
  }).sort((a, b) => b.gain - a.gain);
  print(`\n| ${model}, ${activationBits} bits | one range | 8 groups | each timestep | gain |`);
  print("|---|---|---|---|---|");
  for (const { name, ...figures } of layers) {
    const { one, groups, most, gain } = figures;
    print(`| ${name} | ${[one, groups, most, gain].map((x) => x.toFixed(2)).join(" | ")} |`);
  }
}

try {
  print("digits dB, small-dlm KL");
  await compareWays("inputs alone", "activations");
  await compareWays("with weights of INT4", "both");
  for (const { model } of CONTENDERS) await listLayers(model, 4);
} finally {
  digits.close();
  text.close();
  Deno.removeSync(directory, { recursive: true });
}
