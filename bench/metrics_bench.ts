/**
 * Which figure of a report tells what a model will do: the rank correlation of weight SQNR, cosine
 * similarity and smoothness score with what two judges find, over many settings of both models.
 * `deno run --allow-read --allow-write --allow-env bench/metrics_bench.ts` prints the table that
 * docs/metrics.md shows.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDenoiser } from "../examples/digits-dit-denoiser/denoiser.ts";
import { measureSqnr } from "../examples/digits-dit-denoiser/evaluate.ts";
import { INPUTS, observe } from "../examples/digits-dit-denoiser/observe.ts";
import { loadWeights } from "../examples/forward/load_weights.ts";
import { createEvaluator } from "../examples/small-dlm-denoiser/evaluate.ts";
import { DEFAULT_SETTINGS, quantizeModel, type QuantizeSettings, type Report } from "../mod.ts";

const example = (name: string) => fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const DIGITS = example("digits-dit");
const LANGUAGE = example("small-dlm");

/** What a setting came to. */
interface Found {
  bits: number;
  granularity: string;
  /** Of the report. */
  figures: Record<typeof FIGURES[number], number>;
  /** What the judge says: more is better. */
  judged: number;
}

const FIGURES = ["weight SQNR", "cosine similarity", "smoothness score"] as const;

/** Settings that differ in all that moves a figure. */
function listSettings(): Partial<QuantizeSettings>[] {
  const rows = ([2, 4, 8] as const).flatMap((bits) =>
    (["row", 128, 64, 32, 16] as const).flatMap((groupSize): Partial<QuantizeSettings>[] => [
      { bits, groupSize },
      ...bits === 2 ? [{ bits, groupSize, phase: "optimize" } as const] : [],
      ...groupSize === "row"
        ? [{ bits, groupSize, phase: "smooth", smoothingWindow: 5 } as const]
        : [],
    ])
  );
  const slices = ([2, 4, 8] as const).flatMap((bits) =>
    [4, 8].flatMap((timeGroups) =>
      (["baseline", "smooth", "optimize"] as const).map((phase) => ({
        bits,
        timeGroups,
        phase,
        granularity: "slice" as const,
      }))
    )
  );
  const blocks = ([2, 4, 8] as const).flatMap((bits) =>
    [16, 32, 64].map((groupSize) => ({ bits, groupSize, granularity: "slice" as const }))
  );
  return [...rows, ...slices, ...blocks];
}

/** Ranks from 0 on, equal values sharing their mean rank. */
function rank(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal - 1) / 2;
  });
}

/** Rank correlation (Spearman, "The Proof and Measurement of Association between Two Things", 1904). */
function correlate(left: readonly number[], right: readonly number[]): number {
  const [a, b] = [rank(left), rank(right)];
  const mean = (a.length - 1) / 2;
  const sum = (of: (i: number) => number) => a.reduce((total, _, i) => total + of(i), 0);
  return sum((i) => (a[i]! - mean) * (b[i]! - mean)) /
    Math.sqrt(sum((i) => (a[i]! - mean) ** 2) * sum((i) => (b[i]! - mean) ** 2));
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function figuresOf(report: Report): Found["figures"] {
  return {
    "weight SQNR": report.sqnr_db ?? Infinity,
    "cosine similarity": report.cosine_similarity,
    "smoothness score": report.smoothness_score,
  };
}

const predict = async (directory: string) =>
  observe(createDenoiser(await loadWeights(directory)), { ...INPUTS, samples: 0 }).eps;

const directory = Deno.makeTempDirSync({ prefix: "isotherm-metrics-" });
const evaluator = await createEvaluator(LANGUAGE);
const original = await predict(DIGITS);
const digits: Found[] = [];
const language: Found[] = [];
try {
  print("setting | digits dB, weight SQNR, score | small-dlm KL, weight SQNR, score");
  for (const settings of listSettings()) {
    const run = async (model: string, name: string) => {
      const output = join(directory, name);
      const all = {
        ...DEFAULT_SETTINGS,
        modulation: "keep",
        ...settings,
        overwrite: true,
      } as const;
      return { output, report: await quantizeModel(model, output, all) };
    };
    const image = await run(DIGITS, "digits");
    const text = await run(LANGUAGE, "language");
    const decibel = measureSqnr(original, await predict(image.output));
    const { kl } = await evaluator.evaluate(text.output);
    const { bits = 2, granularity = "row" } = settings;
    digits.push({ bits, granularity, figures: figuresOf(image.report), judged: decibel });
    language.push({ bits, granularity, figures: figuresOf(text.report), judged: -kl });
    const show = ({ sqnr_db, smoothness_score }: Report) =>
      `${sqnr_db?.toFixed(2)}, ${smoothness_score.toFixed(4)}`;
    print(
      `${JSON.stringify(settings)} | ${decibel.toFixed(2)}, ${show(image.report)} | ` +
        `${kl.toFixed(5)}, ${show(text.report)}`,
    );
  }
} finally {
  evaluator.close();
  Deno.removeSync(directory, { recursive: true });
}

const GROUPS: [string, (found: Found) => boolean][] = [
  ["all", () => true],
  ["INT2", ({ bits }) => bits === 2],
  ["INT4", ({ bits }) => bits === 4],
  ["INT8", ({ bits }) => bits === 8],
  ["INT2 by rows", ({ bits, granularity }) => bits === 2 && granularity === "row"],
  ["INT2 by slices", ({ bits, granularity }) => bits === 2 && granularity === "slice"],
];
print(`\n| settings | judge | ${FIGURES.join(" | ")} |\n|---|---|---|---|---|`);
for (const [name, belongs] of GROUPS) {
  for (const [judge, all] of [["digits dB", digits], ["small-dlm KL", language]] as const) {
    const found = all.filter(belongs);
    const cells = FIGURES.map((figure) =>
      correlate(found.map(({ figures }) => figures[figure]), found.map(({ judged }) => judged))
        .toFixed(2)
    );
    print(`| ${name} (${found.length}) | ${judge} | ${cells.join(" | ")} |`);
  }
}
