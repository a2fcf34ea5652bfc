/** What records calibration files in Python, `examples/record_calibration.py`, against sums made by hand. */

import assert from "node:assert/strict";
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

async function runChecks(): Promise<Record<string, string | null>> {
  const path = Deno.makeTempFileSync({ prefix: "isotherm-recorder-" });
  try {
    await runPython("check_recorder.py", path);
    return JSON.parse(Deno.readTextFileSync(path));
  } finally {
    Deno.removeSync(path);
  }
}

for (const check of CHECKS) {
  Deno.test(`record_calibration.py: ${check.replaceAll("_", " ")}`, async () => {
    const found = await (results ??= runChecks());
    assert.deepEqual(Object.keys(found), CHECKS);
    assert.equal(found[check], null);
  });
}
