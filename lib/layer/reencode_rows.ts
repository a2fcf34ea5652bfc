/** Encodes rows again whose parameters have moved. */

import type { Backend } from "../jobs/backend.ts";
import { replaceSums } from "../params/measure_quality.ts";
import type { QualitySums } from "../types.ts";
import { copyRows, type KeptParams } from "./row_params.ts";
import { runInOrder } from "./run_in_order.ts";
import { type LayerJob, type RowRun, sliceRows } from "./slice_layer.ts";

/**
 * Moves the parameters of some rows and encodes them again.
 *
 * @param kept [rows * blocks] parameters of all rows.
 * @param sums The energies of the layer so far.
 * @param move Changes the parameters of a run in place.
 * @returns The energies as they are then.
 */
export async function reencodeRows(
  { job, backend }: { job: LayerJob; backend: Backend },
  kept: KeptParams,
  runs: readonly RowRun[],
  sums: QualitySums,
  move: (run: RowRun) => void,
): Promise<QualitySums> {
  const blocks = job.layer.columns / job.layer.grid.blockColumns;
  let total = sums;
  await runInOrder(runs, async (run) => {
    const before = copyRows(kept, run, blocks);
    move(run);
    const after = copyRows(kept, run, blocks);
    return await backend.run({
      verb: "reencode",
      ...sliceRows(job, run.from, run.to, 1),
      before,
      after,
      inputs: job.inputs,
    });
  }, (change) => {
    total = replaceSums(total, [change]);
  });
  return total;
}
