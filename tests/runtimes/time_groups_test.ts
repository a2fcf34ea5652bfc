/** What runs quantized inputs in PyTorch, `examples/time_grouped_torch.py`, against a quantizer written with NumPy. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { recordDigits } from "../../examples/calibration/record_digits.ts";
import { recordSmallDlm } from "../../examples/calibration/record_small_dlm.ts";
import { readTimeGroups } from "../../lib/run/read_time_groups.ts";
import { runProcess } from "../run_cli.ts";
import { runPython } from "./run_check.ts";

/** The checks of check_time_groups.py, by name. */
const CHECKS = [
  "codes_are_rounded_half_to_even_and_clamped",
  "the_nearest_timestep_is_taken",
  "samples_have_timesteps_of_their_own",
  "layers_are_found_by_name",
  "hooks_go",
  "schedulers_of_every_kind",
  "schedulers_that_begin_late",
  "pipeline_of_diffusers",
  "malformed_files_are_named",
];

/** A checkpoint that a twin of its model runs with. */
interface Case {
  model: "digits" | "small-dlm";
  /** Of inputs. */
  bits: 4 | 6 | 8;
  args: string[];
  /** How many layers' inputs are quantized. */
  layers: number;
  /** Within what the prediction's SQNR over all recorded timesteps is expected, in dB. */
  outputs: [from: number, to: number];
}

const CASES: Case[] = [
  { model: "digits", bits: 8, args: [], layers: 16, outputs: [41, 45] },
  { model: "digits", bits: 4, args: ["--phase", "smooth"], layers: 16, outputs: [12.5, 15.5] },
  { model: "small-dlm", bits: 8, args: ["--grouping", "optimal"], layers: 24, outputs: [43, 47] },
  {
    model: "small-dlm",
    bits: 8,
    args: ["--grouping", "optimal", "--outlier-inputs", "quantize"],
    layers: 28,
    outputs: [28, 32],
  },
];

/** Times to predict at, one for each of eight samples: recorded ones, others, and several in a batch. */
const TIMES = {
  digits: [
    ...[25, 500, 731, 999].map((time) => new Array<number>(8).fill(time)),
    [0, 975, 130, 420, 610, 55, 700, 310],
  ],
  "small-dlm": [
    ...[0.05, 0.5, 0.93].map((time) => new Array<number>(8).fill(time)),
    [0.9, 0.1, 0.35, 0.6, 0.05, 0.75, 0.5, 0.2],
  ],
};

/** What a twin did. */
interface Result {
  /** Largest difference of the twin itself from what was predicted of old. */
  twin_error: number;
  layers: number;
  missing: string[];
  /** Largest difference of a prediction from the plain quantizer's, as a share of its largest value. */
  plain_difference: number;
  input_sqnr_db: number;
  output_sqnr_db: number;
}

const ROOT = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "isotherm-time-groups-" }));

Deno.test.afterAll(() => Deno.removeSync(ROOT, { recursive: true }));

const titleOf = ({ model, bits, args }: Case) => [`${model} at ${bits} bits`, ...args].join(" ");

/** What became of all. */
interface Outcome {
  /** By title. */
  results: Map<string, Result>;
  checks: Record<string, string | null>;
}

/** From one process, since importing torch takes longer than most. */
let found: Promise<Outcome> | undefined;

async function runAll(): Promise<Outcome> {
  // So small that predictions, not statistics, are what is tested.
  const calibrations = {
    digits: await recordDigits({ images: 8, timesteps: 20, rank: 1 }),
    "small-dlm": await recordSmallDlm({ sequences: 2, levels: 10, rank: 1 }),
  };
  const jobs = [];
  for (const [i, one] of CASES.entries()) {
    const { model, bits, args } = one;
    const [calibration, checkpoint] = [join(ROOT, `${model}.safetensors`), join(ROOT, String(i))];
    Deno.writeFileSync(calibration, calibrations[model]);
    const source = fileURLToPath(
      new URL(`../../examples/${model === "digits" ? "digits-dit" : model}`, import.meta.url),
    );
    const { code, stderr } = await runProcess(
      ...["--model", source, "--output", checkpoint, "--report", `${checkpoint}.json`],
      ...["--bit-width", "8", "--activation-bits", String(bits), "--calibration", calibration],
      ...args,
    );
    assert.equal(code, 0, stderr);
    jobs.push({
      model,
      checkpoint,
      inputs: readTimeGroups(checkpoint)!.inputs,
      timesteps: TIMES[model],
    });
  }
  const [jobsFile, resultsFile] = [join(ROOT, "jobs.json"), join(ROOT, "results.json")];
  Deno.writeTextFileSync(jobsFile, JSON.stringify(jobs));
  await runPython("check_time_groups.py", jobsFile, resultsFile);
  const { jobs: results, checks } = JSON.parse(Deno.readTextFileSync(resultsFile));
  return {
    results: new Map(CASES.map((one, i) => [titleOf(one), results[i]])),
    checks,
  };
}

for (const check of CHECKS) {
  Deno.test(`time_grouped_torch.py: ${check.replaceAll("_", " ")}`, async () => {
    const { checks } = await (found ??= runAll());
    assert.deepEqual(Object.keys(checks), CHECKS);
    assert.equal(checks[check], null);
  });
}

for (const [i, one] of CASES.entries()) {
  Deno.test(`time_grouped_torch.py: ${titleOf(one)}`, async () => {
    const result = (await (found ??= runAll())).results.get(titleOf(one))!;
    const { layers, missing, twin_error, plain_difference, input_sqnr_db, output_sqnr_db } = result;
    assert.deepEqual({ layers, missing }, { layers: one.layers, missing: [] });
    // What the model's reference demands of a right forward pass.
    assert.ok(twin_error <= 1e-4, `the twin itself is off by ${twin_error}`);
    assert.ok(plain_difference <= 1e-6, `predictions differ by ${plain_difference}`);
    const report = JSON.parse(Deno.readTextFileSync(join(ROOT, `${i}.json`)));
    const expected = report.activations.grouped_sqnr_db;
    assert.ok(Math.abs(input_sqnr_db - expected) < 0.5, `${input_sqnr_db} dB, not ${expected}`);
    const [from, to] = one.outputs;
    assert.ok(
      from < output_sqnr_db && output_sqnr_db < to,
      `predictions have ${output_sqnr_db} dB`,
    );
  });
}
