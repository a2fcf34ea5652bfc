/**
 * The main job on the model that ships with the project: quantizes the digits DiT in each phase, lets
 * all of them draw, prints what became of it, and writes a page that shows it. `deno task demo`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { writeAll } from "../lib/base/write_all.ts";
import { loadEngine } from "../lib/render/fill_template.ts";
import { DEFAULT_SETTINGS, type Phase, quantizeModel, renderHtml, type Report } from "../mod.ts";
import { drawSamples } from "./digits-dit-denoiser/draw_samples.ts";
import { createEvaluator, type Evaluation } from "./digits-dit-denoiser/evaluate.ts";
import { DIGITS_SOURCE } from "./digits-dit-denoiser/read_digits.ts";
import { showSteps, type Steps } from "./show_steps.ts";

const MODEL = fileURLToPath(new URL("./digits-dit", import.meta.url));

const PHASES: readonly Phase[] = ["baseline", "smooth", "optimize"];

/** Where everything goes; anything there from before is replaced. */
const OUT = "out";

/** Digits shown of each model: two of each class. */
const SHOWN = 20;

const HEADINGS = [
  "",
  "score",
  "violations",
  "cosine",
  "SQNR dB",
  "denoiser dB",
  "recognised",
  "time s",
  "size MB",
] as const;

/** One model: the original, which has no report, or what a phase made of it. */
interface Row {
  label: string;
  report: Report | undefined;
  evaluation: Evaluation;
}

/** The cells of a model, one for each heading. */
function cellsOf({ label, report, evaluation }: Row, originalMb: number): string[] {
  const decibel = (value: number | null) =>
    value === null || !Number.isFinite(value) ? "-" : value.toFixed(2);
  return [
    label,
    report?.smoothness_score.toFixed(4) ?? "-",
    String(report?.violation_count ?? "-"),
    report?.cosine_similarity.toFixed(4) ?? "-",
    decibel(report?.sqnr_db ?? null),
    decibel(evaluation.denoiser_sqnr_db),
    evaluation.recognized_share.toFixed(2),
    report?.quantization_time_s.toFixed(2) ?? "-",
    (report?.model_size_mb ?? originalMb).toFixed(2),
  ];
}

/** Rows as lines: the first column to the left, the others to the right. */
function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    return `${cells.join("  ")}\n`;
  }).join("");
}

function print(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Begins the steps on standard error; each model takes seconds to draw. */
function startSteps(total: number): Steps {
  return showSteps({
    write: (text) => writeAll(Deno.stderr, text),
    isTerminal: Deno.stderr.isTerminal(),
    now: () => performance.now(),
    repeat: (draw) => {
      const timer = setInterval(draw, 100);
      return () => clearInterval(timer);
    },
  }, total);
}

/** Quantizes the model in one phase; leaves its checkpoint and its report. */
async function quantizeIn(phase: Phase): Promise<{ directory: string; report: Report }> {
  const directory = `${OUT}/digits-dit-int2-${phase}`;
  const settings = { ...DEFAULT_SETTINGS, phase, overwrite: true };
  const report = await quantizeModel(MODEL, directory, settings);
  Deno.writeTextFileSync(`${OUT}/${phase}.json`, `${JSON.stringify(report, null, 2)}\n`);
  return { directory, report };
}

Deno.mkdirSync(OUT, { recursive: true });
// For the page at the end: where it cannot be had, that is said now.
await loadEngine();
print(
  "Quantizing examples/digits-dit to INT2 in each phase, and drawing 60 digits with each model\n",
);
const steps = startSteps(2 + 2 * PHASES.length);
const evaluator = await steps.run(
  "Drawing with the unquantized model",
  () => createEvaluator(MODEL),
);
const rows: Row[] = [
  { label: "unquantized", report: undefined, evaluation: evaluator.original },
];
try {
  for (const phase of PHASES) {
    const { directory, report } = await steps.run(
      `Quantizing, phase ${phase}`,
      () => quantizeIn(phase),
    );
    const evaluation = await steps.run(
      `Drawing with the model of phase ${phase}`,
      () => evaluator.evaluate(directory),
    );
    rows.push({ label: phase, report, evaluation });
  }
} finally {
  evaluator.close();
}
const { report } = rows.at(-1)!;
const cells = rows.map((row) => cellsOf(row, report!.model_size_mb * report!.compression_ratio));
print(`\n${formatTable([HEADINGS, ...cells])}\n`);

const pictures = {
  title: "Generated digits",
  text:
    "The digits 0 to 9, twice, drawn from the same noise by the model before and after it was " +
    "quantized: DDIM, 50 steps, guidance 2. Recognised is the share of 60 of them that a logistic " +
    "regression takes for what they should show; the denoiser's dB compare the noise it predicts.",
  rows: rows.map(({ label, evaluation }, i) => ({
    label,
    svg: drawSamples(evaluation.samples, SHOWN, `Digits drawn by the model: ${label}`),
    note: `${cells[i]![6]} recognised${i === 0 ? "" : `, denoiser SQNR ${cells[i]![5]} dB`}`,
  })),
  table: { headings: HEADINGS, rows: cells },
  credit: DIGITS_SOURCE,
};
const page = await steps.run("Writing the page", () => renderHtml(report!, { pictures }));
Deno.writeTextFileSync(`${OUT}/report.html`, page);
print(
  `Look at ${OUT}/report.html. The checkpoints are ${OUT}/digits-dit-int2-*, the reports ${OUT}/*.json\n`,
);
