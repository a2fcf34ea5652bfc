/** What Isotherm writes is loaded and run by the packages it is written for, and decodes to what it should. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { runProcess } from "../run_cli.ts";
import { type Case, CASES, FORWARD_ERROR, LAYER_ERROR, ROUNDING, titleOf } from "./cases.ts";
import { listConformance } from "./conformance.ts";
import { exportDecoded } from "./export_decoded.ts";
import { type Check, type Job, type Result, runCheck, runPython } from "./run_check.ts";

const ROOT = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "isotherm-runtimes-" }));
const MODELS = join(ROOT, "models");
const LANGUAGE = new Set(["qwen2", "dream"]);

Deno.test.afterAll(() => Deno.removeSync(ROOT, { recursive: true }));

/** A test: what is to be loaded, and how its result is judged. */
interface Expectation {
  title: string;
  check: Check;
  /** Writes the checkpoint, if that is not done yet. */
  prepare: () => Job | Promise<Job>;
  /** What a result has to hold besides errors. */
  holds: Partial<Result>;
  weightError: number;
  forwardError: number;
}

const conformance = listConformance(ROOT).map((
  { title, check, job, holds, weightError = ROUNDING },
): Expectation => ({
  title,
  check,
  prepare: () => job,
  holds,
  weightError,
  forwardError: FORWARD_ERROR,
}));

const written = CASES.map((one, i): Expectation => ({
  title: titleOf(one),
  check: checkOf(one),
  prepare: () => writeCase(one, join(ROOT, String(i))),
  holds: {},
  weightError: one.weightError ?? ROUNDING,
  forwardError: one.forwardError ?? FORWARD_ERROR,
}));

/** Who loads a case. */
function checkOf({ model, format }: Case): Check {
  if (format === "gguf" || format === "comfy") return format;
  return format === "sdnq" && !LANGUAGE.has(model) ? "sdnq_diffusers" : "transformers";
}

/** Runs the command line on a model, and notes what its output should decode to. */
async function writeCase(one: Case, directory: string): Promise<Job> {
  const { model, format, bits, args = [], inPipeline, decodesTo } = one;
  Deno.mkdirSync(directory);
  const [source, output, decoded] = [
    join(MODELS, model),
    join(directory, "output"),
    join(directory, "decoded.safetensors"),
  ];
  const flags = format === "compressed-tensors" ? args : ["--format", format, ...args];
  const { code, stderr } = await runProcess(
    ...["--model", source, "--output", output, "--bit-width", String(bits)],
    ...["--report", join(directory, "report.json"), ...flags],
  );
  assert.equal(code, 0, stderr);
  await exportDecoded(output, source, decoded);
  return {
    model: source,
    checkpoint: format === "gguf" || format === "comfy" ? onlyFile(output, format) : output,
    decoded,
    ...inPipeline && { pipeline: join(MODELS, "pipeline") },
    ...decodesTo && { decodes_to: decodesTo },
  };
}

/** The weights in a directory. */
function onlyFile(directory: string, format: "gguf" | "comfy"): string {
  const ending = format === "gguf" ? ".gguf" : ".safetensors";
  const files = [...Deno.readDirSync(directory)].filter(({ name }) => name.endsWith(ending));
  assert.equal(files.length, 1, `files in ${directory}`);
  return join(directory, files[0]!.name);
}

/** Models are made once, by the first test that needs them. */
let models: Promise<void> | undefined;

/** Results of each way of loading, by title, from one process for all of them. */
const found = new Map<Check, Promise<Map<string, Result | Error>>>();

async function runAll(
  check: Check,
  expectations: Expectation[],
): Promise<Map<string, Result | Error>> {
  const results = new Map<string, Result | Error>();
  const jobs = new Map<string, Job>();
  for (const { title, prepare } of expectations) {
    try {
      jobs.set(title, await prepare());
    } catch (error) {
      // Only that test fails.
      results.set(title, error instanceof Error ? error : new Error(String(error)));
    }
  }
  const titles = [...jobs.keys()];
  for (const [i, result] of (await runCheck(check, [...jobs.values()], ROOT)).entries()) {
    results.set(titles[i]!, result);
  }
  return results;
}

const all = [...conformance, ...written];
for (const { title, check, holds, weightError, forwardError } of all) {
  Deno.test(`${check}: ${title}`, async () => {
    await (models ??= runPython("make_models.py", MODELS));
    const results = found.get(check) ?? runAll(check, all.filter((one) => one.check === check));
    found.set(check, results);
    const result = (await results).get(title)!;
    if (result instanceof Error) throw result;
    assert.equal(result.error, undefined);
    assert.deepEqual({ missing: result.missing, unexpected: result.unexpected }, {
      missing: [],
      unexpected: [],
    });
    for (const [key, value] of Object.entries(holds)) {
      assert.deepEqual(result[key as keyof Result], value, key);
    }
    assert.ok(result.weights > 0);
    assert.ok(result.weight_error <= weightError, `weights differ by ${result.weight_error}`);
    const { layer_error = 0, forward_error = 0 } = result;
    assert.ok(layer_error <= LAYER_ERROR, `layers differ by ${layer_error}`);
    assert.ok(forward_error <= forwardError, `predictions differ by ${forward_error}`);
  });
}
