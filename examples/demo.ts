/**
 * The main job on the models that ship with the project: quantizes the digits DiT and the small language
 * model in two phases, and with what their layers are fed, lets all of them draw and write, prints what became
 * of them, and writes a page that shows it. `deno task demo`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { writeAll } from "../lib/base/write_all.ts";
import type { ActivationBits } from "../lib/types.ts";
import { loadPageTools } from "../lib/render/render_html.ts";
import { DEFAULT_SETTINGS, type Phase, quantizeModel, renderHtml, type Report } from "../mod.ts";
import { drawSamples } from "./digits-dit-denoiser/draw_samples.ts";
import {
  createEvaluator as createDigitsEvaluator,
  type Evaluation as Drawing,
} from "./digits-dit-denoiser/evaluate.ts";
import { INPUTS } from "./digits-dit-denoiser/observe.ts";
import { DIGITS_SOURCE } from "./digits-dit-denoiser/read_digits.ts";
import { formatTable } from "./format_table.ts";
import { formatDecibel } from "./forward/print_evaluations.ts";
import { showSteps, type Steps } from "./show_steps.ts";
import { createEvaluator as createTextEvaluator } from "./small-dlm-denoiser/evaluate.ts";
import type { Evaluation as Reading } from "./small-dlm-denoiser/summarize.ts";

/** A way to quantize. */
interface Way {
  label: string;
  phase: Phase;
  /** Whether the errors are compensated by the model's calibration, which ships with it. */
  isCalibrated: boolean;
  /** Width of a code of the layers' inputs, quantized by time group; absent: they are not quantized. */
  activationBits?: ActivationBits;
}

const WAYS: readonly Way[] = [
  { label: "baseline", phase: "baseline", isCalibrated: false },
  { label: "optimize", phase: "optimize", isCalibrated: false },
  { label: "calibrated", phase: "optimize", isCalibrated: true },
  { label: "calibrated+A8", phase: "optimize", isCalibrated: true, activationBits: 8 },
];

/** Where everything goes; anything there from before is replaced. */
const OUT = "out";

/** Digits drawn by each model and shown: one of each class. */
const DRAWN = 10;

/** Characters shown of each model's text. */
const WRITTEN = 100;

const DIGITS_HEADINGS = [
  "digits",
  "score",
  "violations",
  "cosine",
  "SQNR dB",
  "denoiser dB",
  "recognised",
  "time s",
  "size MB",
] as const;

const TEXT_HEADINGS = [
  "text",
  "score",
  "SQNR dB",
  "KL nats",
  "agreement",
  "NELBO bits/byte",
  "time s",
  "size MB",
] as const;

/** One model: the original, which has no report, or what became of it in one way. */
interface Row<Evaluation> {
  label: string;
  report: Report | undefined;
  evaluation: Evaluation;
}

/** A model that is compared with its quantized ones. */
interface Evaluator<Evaluation> {
  original: Evaluation;
  evaluate(directory: string): Promise<Evaluation>;
}

function print(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Begins the steps on standard error; each model takes seconds to be judged. */
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

function pathOf(model: string): string {
  return fileURLToPath(new URL(`./${model}`, import.meta.url));
}

function outputOf(model: string, { label }: Way): string {
  return `${OUT}/${model}-int2-${label}`;
}

/** Quantizes a model in each way and judges it; leaves checkpoints and reports. */
async function runWays<Evaluation>(
  steps: Steps,
  model: string,
  verb: string,
  evaluator: Evaluator<Evaluation>,
): Promise<Row<Evaluation>[]> {
  const rows: Row<Evaluation>[] = [
    { label: "unquantized", report: undefined, evaluation: evaluator.original },
  ];
  for (const way of WAYS) {
    const { label, phase, activationBits } = way;
    const directory = outputOf(model, way);
    const calibration = way.isCalibrated
      ? pathOf(`${model}-data/calibration.safetensors`)
      : undefined;
    const report = await steps.run(`Quantizing ${model}, ${label}`, async () => {
      const settings = { ...DEFAULT_SETTINGS, phase, calibration, activationBits, overwrite: true };
      const report = await quantizeModel(pathOf(model), directory, settings);
      Deno.writeTextFileSync(`${directory}.json`, `${JSON.stringify(report, null, 2)}\n`);
      return report;
    });
    const evaluation = await steps.run(
      `${verb} with the ${label} model`,
      () => evaluator.evaluate(directory),
    );
    rows.push({ label, report, evaluation });
  }
  return rows;
}

/** Cells that both tables have: before and behind those of what the models do. */
function reportCells(rows: readonly Row<unknown>[], { report }: Row<unknown>) {
  const last = rows.at(-1)!.report!;
  const size = report?.model_size_mb ?? last.model_size_mb * last.compression_ratio;
  return {
    score: report?.smoothness_score.toFixed(4) ?? "-",
    violations: String(report?.violation_count ?? "-"),
    cosine: report?.cosine_similarity.toFixed(4) ?? "-",
    sqnr: formatDecibel(report?.sqnr_db ?? Infinity),
    time: report?.quantization_time_s.toFixed(2) ?? "-",
    size: size.toFixed(2),
  };
}

async function runDigits(steps: Steps): Promise<{ rows: Row<Drawing>[]; cells: string[][] }> {
  const model = "digits-dit";
  const evaluator = await steps.run(
    "Drawing with the unquantized model",
    () => createDigitsEvaluator(pathOf(model), undefined, { ...INPUTS, samples: DRAWN }),
  );
  try {
    const rows = await runWays(steps, model, "Drawing", evaluator);
    const cells = rows.map((row) => {
      const { score, violations, cosine, sqnr, time, size } = reportCells(rows, row);
      const { denoiser_sqnr_db, recognized_share } = row.evaluation;
      const done = [formatDecibel(denoiser_sqnr_db), recognized_share.toFixed(2)];
      return [row.label, score, violations, cosine, sqnr, ...done, time, size];
    });
    return { rows, cells };
  } finally {
    evaluator.close();
  }
}

async function runText(steps: Steps): Promise<{ cells: string[][]; texts: string[] }> {
  const model = "small-dlm";
  const evaluator = await steps.run(
    "Reading with the unquantized model",
    () => createTextEvaluator(pathOf(model)),
  );
  try {
    const rows = await runWays<Reading>(steps, model, "Reading", evaluator);
    const cells = rows.map((row) => {
      const { score, sqnr, time, size } = reportCells(rows, row);
      const { kl, agreement, nelbo_bits_per_byte: nelbo } = row.evaluation;
      const done = [kl.toFixed(4), agreement.toFixed(4), nelbo.toFixed(4)];
      return [row.label, score, sqnr, ...done, time, size];
    });
    const directories = [pathOf(model), ...WAYS.map((way) => outputOf(model, way))];
    const texts = await steps.run("Writing with all of them", () => evaluator.write(directories));
    return { cells, texts: texts.map(shorten) };
  } finally {
    evaluator.close();
  }
}

/** The beginning of a text in one line, up to the end of a word. */
function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= WRITTEN ? line : `${line.slice(0, WRITTEN).replace(/ [^ ]*$/, "")} ...`;
}

Deno.mkdirSync(OUT, { recursive: true });
// For the page at the end: where it cannot be had, that is said now.
await loadPageTools();
print(
  "Quantizing examples/digits-dit and examples/small-dlm to INT2: in phases baseline and optimize, calibrated,\n" +
    "and with inputs of layers at 8 bits in four time groups; each model draws " +
    `${DRAWN} digits, or predicts\nthe masked tokens of 240 texts and writes one\n`,
);
// Of each model: the original, and two steps for each way. Then text and page.
const steps = startSteps(2 * (1 + 2 * WAYS.length) + 2);
const digits = await runDigits(steps);
print(`\n${formatTable([DIGITS_HEADINGS, ...digits.cells])}\n`);
const text = await runText(steps);
print(`${formatTable([TEXT_HEADINGS, ...text.cells])}\n`);
const widest = Math.max(...text.cells.map(([label]) => label!.length));
for (const [i, written] of text.texts.entries()) {
  print(`${text.cells[i]![0]!.padEnd(widest)}  ${written}\n`);
}

const pictures = {
  title: "Generated digits and text",
  text: "The digits 0 to 9, drawn from the same noise by the digits DiT before and after it was " +
    "quantized: DDIM, 50 steps, guidance 2. Calibrated is phase optimize that makes errors good by what " +
    "each layer is fed over all timesteps; A8 has the inputs of layers at 8 bits as well, in four time " +
    "groups. Recognised is the share of them that a logistic " +
    "regression takes for what they should show; the denoiser's dB compare the noise it predicts. " +
    "Below them what the small language model writes, from the same seed.",
  rows: [
    ...digits.rows.map(({ label, evaluation }, i) => ({
      label,
      svg: drawSamples(evaluation.samples, DRAWN, `Digits drawn by the model: ${label}`),
      note: `${digits.cells[i]![6]} recognised` +
        (i === 0 ? "" : `, denoiser SQNR ${digits.cells[i]![5]} dB`),
    })),
    // Nothing is drawn of these.
    ...text.texts.map((written, i) => ({ label: text.cells[i]![0]!, svg: "", note: written })),
  ],
  table: { headings: DIGITS_HEADINGS, rows: digits.cells },
  credit: DIGITS_SOURCE,
};
const { report } = digits.rows.at(-1)!;
const page = await steps.run("Writing the page", () => renderHtml(report!, { pictures }));
Deno.writeTextFileSync(`${OUT}/report.html`, page);
print(
  `\nLook at ${OUT}/report.html. Beside it are the checkpoints and their reports: ${OUT}/*-int2-*\n`,
);
