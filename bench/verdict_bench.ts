/**
 * Where a model falls apart, by the SQNR of its weights and of its layers' outputs: two judges on models
 * quantized in many ways. The limits of the grades in lib/report/grades.ts are read off this table.
 * `deno run --allow-read --allow-write --allow-env bench/verdict_bench.ts` prints it; it takes minutes.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEvaluator as createDigits } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS } from "../examples/digits-dit-denoiser/observe.ts";
import { loadWeights, type Weights } from "../examples/forward/load_weights.ts";
import { createEvaluator as createLanguage } from "../examples/small-dlm-denoiser/evaluate.ts";
import { type LayerInputs, readInputs } from "../lib/calibration/read_inputs.ts";
import {
  DEFAULT_SETTINGS,
  openCalibration,
  quantizeModel,
  type QuantizeSettings,
  type Report,
} from "../mod.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));

/** Digits that each model draws: enough to tell a share of 0.98 from one of 0.95. */
const DRAWN = 200;

/** Settings from a ruined model to one that nobody can tell from the original. */
function listSettings(): Partial<QuantizeSettings>[] {
  const rows = (["row", 128, 64, 32, 16] as const).flatMap((groupSize) =>
    (["baseline", "optimize"] as const).map((phase) => ({ bits: 2, groupSize, phase } as const))
  );
  const slices = [2, 4, 8, 16].flatMap((timeGroups) =>
    (["baseline", "optimize"] as const).map((phase) =>
      ({ bits: 2, granularity: "slice", timeGroups, phase }) as const
    )
  );
  const blocks = [16, 32, 64].flatMap((groupSize) =>
    (["baseline", "optimize"] as const).map((phase) =>
      ({ bits: 2, granularity: "slice", groupSize, phase }) as const
    )
  );
  const wide = ([4, 8] as const).flatMap((bits): Partial<QuantizeSettings>[] => [
    { bits, granularity: "slice" },
    { bits, groupSize: "row" },
    { bits },
    { bits, groupSize: 32 },
  ]);
  const sensitive = ([2, 4] as const).flatMap((bits): Partial<QuantizeSettings>[] => [
    { bits, modulation: 4 },
    { bits, defaultIgnore: false },
  ]);
  const calibrated = [
    { bits: 2, groupSize: "row" },
    { bits: 2 },
    { bits: 2, granularity: "slice" },
    { bits: 4 },
    { bits: 4, granularity: "slice" },
    { bits: 8 },
  ].map((settings) => ({ ...settings, phase: "optimize", calibration: "yes" }));
  return [...slices, ...blocks, ...rows, ...sensitive, ...wide, ...calibrated] as Partial<
    QuantizeSettings
  >[];
}

/** Output SQNR in dB over the layers whose inputs are known, as a report has it. */
function measureOutputs(
  inputs: ReadonlyMap<string, LayerInputs>,
  original: Weights,
  found: Weights,
): number {
  let [error, elements] = [0, 0];
  for (const [layer, moments] of inputs) {
    const name = `${layer}.weight`;
    const [source, decoded] = [original.get(name)!, found.get(name)!];
    const difference = source.map((value, i) => value - decoded[i]!);
    error += source.length * energyOf(difference, moments) / energyOf(source, moments);
    elements += source.length;
  }
  return -10 * Math.log10(error / elements);
}

/** The sum over the rows x of x H x^T. */
function energyOf(matrix: Float32Array, { columns, rank, sketch, diagonal }: LayerInputs): number {
  let energy = 0;
  const seen = new Float64Array(rank);
  for (let from = 0; from < matrix.length; from += columns) {
    seen.fill(0);
    for (let c = 0; c < columns; c++) {
      const value = matrix[from + c]!;
      energy += diagonal[c]! * value * value;
      for (let k = 0; k < rank; k++) seen[k] = seen[k]! + sketch[c * rank + k]! * value;
    }
    for (const value of seen) energy += value * value;
  }
  return energy;
}

function readAllInputs(path: string, layers: readonly string[]): Map<string, LayerInputs> {
  const calibration = openCalibration(path);
  return new Map(layers.flatMap((name) => {
    const statistics = calibration.layers.get(name);
    const inputs = statistics && readInputs(calibration, statistics, undefined);
    return inputs === undefined ? [] : [[name, inputs] as const];
  }));
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const directory = Deno.makeTempDirSync({ prefix: "isotherm-verdict-" });
const models = {
  digits: {
    path: example("digits-dit"),
    calibration: example("digits-dit-data/calibration.safetensors"),
  },
  language: {
    path: example("small-dlm"),
    calibration: example("small-dlm-data/calibration.safetensors"),
  },
};
const digits = await createDigits(models.digits.path, undefined, { ...INPUTS, samples: DRAWN });
const language = await createLanguage(models.language.path);
try {
  print(
    "| settings | digits: weights dB | outputs dB | denoiser dB | recognised | small-dlm: weights dB | outputs dB | KL | agreement |",
  );
  print("|---|---|---|---|---|---|---|---|---|");
  for (const settings of listSettings()) {
    const run = async (name: keyof typeof models) => {
      const { path, calibration } = models[name];
      const output = join(directory, name);
      const report: Report = await quantizeModel(path, output, {
        ...DEFAULT_SETTINGS,
        ...settings,
        calibration: settings.calibration && calibration,
        overwrite: true,
      });
      const inputs = readAllInputs(calibration, report.layers.map(({ name }) => name));
      const outputs = measureOutputs(
        inputs,
        await loadWeights(path),
        await loadWeights(output, path),
      );
      return { output, weights: report.sqnr_db ?? Infinity, outputs };
    };
    const image = await run("digits");
    const text = await run("language");
    const drawn = await digits.evaluate(image.output);
    const read = await language.evaluate(text.output);
    print(`| ${
      [
        JSON.stringify(settings).replaceAll('"', ""),
        image.weights.toFixed(2),
        image.outputs.toFixed(2),
        drawn.denoiser_sqnr_db.toFixed(2),
        drawn.recognized_share.toFixed(3),
        text.weights.toFixed(2),
        text.outputs.toFixed(2),
        read.kl.toFixed(4),
        read.agreement.toFixed(3),
      ].join(" | ")
    } |`);
  }
} finally {
  digits.close();
  language.close();
  Deno.removeSync(directory, { recursive: true });
}
