/**
 * What calibration is worth, and what of it: two judges on models quantized without it, with sketches of
 * several ranks, and with what was recorded at one time alone or on unmasked text.
 * `deno run --allow-read --allow-write --allow-env bench/calibration_bench.ts` prints the tables that
 * docs/calibration.md shows; it records 12 files, which takes some minutes.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DigitsSettings, recordDigits } from "../examples/calibration/record_digits.ts";
import { recordSmallDlm, type SmallDlmSettings } from "../examples/calibration/record_small_dlm.ts";
import { createDenoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { measureSqnr } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS, observe } from "../examples/digits-dit-denoiser/observe.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { createEvaluator } from "../examples/small-dlm-denoiser/evaluate.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings } from "../mod.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const DIGITS = example("digits-dit");
const LANGUAGE = example("small-dlm");

/** Large enough for all of H of every layer. */
const WHOLE = 640;

/** Paths of a calibration of each model; `undefined`: without. */
interface Pair {
  digits: string | undefined;
  language: string | undefined;
}

const SETTINGS: [string, Partial<QuantizeSettings>][] = [
  ["INT2, rows", { bits: 2, groupSize: "row" }],
  ["INT2, blocks of 64", { bits: 2, groupSize: 64 }],
  ["INT4, rows", { bits: 4, groupSize: "row" }],
  ["INT4, slices", { bits: 4, granularity: "slice" }],
  ["INT8, rows", { bits: 8, groupSize: "row" }],
];

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const predict = async (directory: string) =>
  observe(createDenoiser(await loadWeights(directory)), { ...INPUTS, samples: 0 }).eps;

const directory = Deno.makeTempDirSync({ prefix: "isotherm-calibration-" });
const evaluator = await createEvaluator(LANGUAGE);
const original = await predict(DIGITS);

function save(name: string, bytes: Uint8Array<ArrayBuffer>): string {
  const path = join(directory, `${name}.safetensors`);
  Deno.writeFileSync(path, bytes);
  return path;
}

async function record(
  name: string,
  digits: DigitsSettings | undefined,
  language: SmallDlmSettings | undefined,
): Promise<Pair> {
  const kept = { statistics: "sketch" } as const;
  return {
    digits: digits &&
      save(`${name}-digits`, await recordDigits({ ...kept, weights: "snr", ...digits })),
    language: language &&
      save(`${name}-language`, await recordSmallDlm({ ...kept, ...language })),
  };
}

async function quantize(
  model: string,
  settings: Partial<QuantizeSettings>,
  calibration: string | undefined,
): Promise<string> {
  const output = join(directory, "out");
  await quantizeModel(model, output, {
    ...DEFAULT_SETTINGS,
    phase: "optimize",
    modulation: "keep",
    ...settings,
    calibration,
    overwrite: true,
  });
  return output;
}

/** What both judges say; a dash where there is no calibration to judge. */
async function judge(
  settings: Partial<QuantizeSettings>,
  { digits, language }: Pair,
  hasDigits = digits !== undefined,
): Promise<string> {
  const decibel = hasDigits
    ? measureSqnr(original, await predict(await quantize(DIGITS, settings, digits))).toFixed(2)
    : "-";
  const { kl } = await evaluator.evaluate(await quantize(LANGUAGE, settings, language));
  return `${decibel}, ${kl.toFixed(5)}`;
}

async function compareRanks(columns: [string, Pair][]): Promise<void> {
  print(`\n| | ${columns.map(([name]) => name).join(" | ")} |`);
  print(`|---|${columns.map(() => "---").join("|")}|`);
  for (const [name, settings] of SETTINGS) {
    const cells: string[] = [];
    for (const [, pair] of columns) cells.push(await judge(settings, pair, true));
    print(`| ${name} | ${cells.join(" | ")} |`);
  }
}

async function compareTimes(title: string, rows: [string, Pair][]): Promise<void> {
  const settings = SETTINGS.filter(([name]) => name === "INT2, rows" || name === "INT4, rows");
  print(`\n| ${title} | ${settings.map(([name]) => name).join(" | ")} |\n|---|---|---|`);
  for (const [name, pair] of rows) {
    const cells: string[] = [];
    for (const [, each] of settings) cells.push(await judge(each, pair));
    print(`| ${name} | ${cells.join(" | ")} |`);
  }
}

/** A part of the time axis that was recorded alone. */
interface Part {
  name: string;
  digits?: DigitsSettings;
  language?: SmallDlmSettings;
  /** Ranks that are asked about; others would say the same. */
  ranks: readonly number[];
}

/** One mask level, with as much text as all of them have together. */
const atLevel = (level: number): SmallDlmSettings => ({
  from: level,
  to: level,
  levels: 1,
  sequences: 320,
});

const PARTS: readonly Part[] = [
  {
    name: "timesteps 500 to 599, level 0.5",
    // As many digits as all timesteps have together.
    digits: { from: 500, to: 600, timesteps: 10, images: 480 },
    language: atLevel(0.5),
    ranks: [64, WHOLE],
  },
  { name: "unmasked text", language: atLevel(0), ranks: [64, WHOLE] },
  { name: "level 0.05", language: atLevel(0.05), ranks: [64] },
  { name: "level 0.95", language: atLevel(0.95), ranks: [64] },
];

try {
  print("digits dB, small-dlm KL");
  const shipped = {
    digits: example("digits-dit-data/calibration.safetensors"),
    language: example("small-dlm-data/calibration.safetensors"),
  };
  const whole = await record("whole", { rank: WHOLE }, { rank: WHOLE });
  await compareRanks([
    ["none", { digits: undefined, language: undefined }],
    ["rank 32", await record("rank-32", { rank: 32 }, { rank: 32 })],
    ["rank 64", shipped],
    ["whole", whole],
  ]);
  for (const rank of [64, WHOLE]) {
    const rows: [string, Pair][] = [["all of the time", rank === WHOLE ? whole : shipped]];
    for (const { name, digits, language, ranks } of PARTS) {
      if (!ranks.includes(rank)) continue;
      rows.push([
        `${name} alone`,
        await record(
          `${name}, ${rank}`,
          digits && { ...digits, rank },
          language && { ...language, rank },
        ),
      ]);
    }
    await compareTimes(rank === WHOLE ? "all of H" : `rank ${rank}`, rows);
  }
} finally {
  evaluator.close();
  Deno.removeSync(directory, { recursive: true });
}
