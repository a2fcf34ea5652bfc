/** What records calibration files in Python, `examples/record_calibration.py`, against sums made by hand. */

import assert from "node:assert/strict";
import { openCalibration } from "../../lib/calibration/open_calibration.ts";
import { runPython } from "./run_check.ts";

/** The checks of check_recorder.py, by name. */
const CHECKS = [
  "squares_sketches_ranges_and_histograms",
  "all_of_h_where_the_rank_is_the_width",
  "masked_language_model",
  "segments_of_the_time_axis",
  "one_pass_sketches_of_wide_layers",
  "at_most_max_rows",
  "outputs_stay_and_hooks_go",
  "scheduler_of_a_pipeline",
  "schedulers_of_every_kind",
  "inputs_that_are_shared_at_times",
  "mistakes_are_named",
];

/** What became of them, from one process, since importing torch takes longer than most. */
let results: Promise<Record<string, string | null>> | undefined;

const ROOT = Deno.makeTempDirSync({ prefix: "isotherm-recorder-" });
const [RESULTS, EXAMPLE] = [`${ROOT}/results.json`, `${ROOT}/example.safetensors`];

Deno.test.afterAll(() => Deno.removeSync(ROOT, { recursive: true }));

async function runChecks(): Promise<Record<string, string | null>> {
  await runPython("check_recorder.py", RESULTS, EXAMPLE);
  return JSON.parse(Deno.readTextFileSync(RESULTS));
}

for (const check of CHECKS) {
  Deno.test(`record_calibration.py: ${check.replaceAll("_", " ")}`, async () => {
    const found = await (results ??= runChecks());
    assert.deepEqual(Object.keys(found), CHECKS);
    assert.equal(found[check], null);
  });
}

Deno.test("record_calibration.py writes what Isotherm takes for a calibration", async () => {
  await (results ??= runChecks());
  const { version, timesteps, weights, segments, layers } = openCalibration(EXAMPLE);
  assert.deepEqual({ version, timesteps, segments }, {
    version: 2,
    timesteps: [100, 500, 900],
    segments: 2,
  });
  assert.deepEqual(weights, [2, 6, 10]);
  const block = "transformer_blocks.1";
  const ofLayer = (name: string) => {
    const { name: tensors, columns, rank, histogram } = layers.get(`${block}.${name}`)!;
    return { tensors, columns, rank, bins: histogram!.shape[1] };
  };
  const shared = { tensors: `${block}.attn1.to_q`, columns: 64, rank: 8, bins: 512 };
  for (const name of ["to_q", "to_k", "to_v"]) assert.deepEqual(ofLayer(`attn1.${name}`), shared);
  const wide = { tensors: `${block}.ff.net.2`, columns: 256, rank: 8, bins: 512 };
  assert.deepEqual(ofLayer("ff.net.2"), wide);
});
