/**
 * Phase optimize by rows with a Markov weight: the time groups are drawn to each other, each by one ratio
 * that all its blocks share, so that no block is judged by its neighbour's weights.
 */

import type { Backend } from "../jobs/backend.ts";
import { optimizePath } from "../params/optimize_path.ts";
import { NORM } from "../params/rate_block.ts";
import type { GroupFindings } from "./layer_record.ts";
import { reencodeRows } from "./reencode_rows.ts";
import { copyRows, type KeptParams, multiplyScales, viewParams } from "./row_params.ts";
import { runInOrder } from "./run_in_order.ts";
import { cutRows, type LayerJob, sliceRows } from "./slice_layer.ts";

/** Ratios that a time group may be given: 2^(k/16), k = -4..4. Beyond them an error grows by more than any jump counts. */
const RATIOS: readonly number[] = Array.from({ length: 9 }, (_, i) => 2 ** ((i - 4) / 16));

/** The ratio that changes nothing. */
const UNCHANGED = RATIOS.indexOf(1);

type Groups = Pick<GroupFindings, "scale" | "zero_point" | "sums">;

/**
 * Chooses a ratio for each time group, such that the sum of the groups' errors relative to the least one
 * that a ratio gives, plus `weight` times the jumps of their means, is least; and encodes again what moves.
 *
 * @param kept [rows * blocks] parameters of all rows; changed where rows move.
 * @param found The means of the time groups, and the energies so far.
 */
export async function coupleGroups(
  job: LayerJob,
  backend: Backend,
  kept: KeptParams,
  found: Groups,
  weight: number,
): Promise<Groups> {
  const { axis: { boundaries }, bits, columns, grid, scaleDtype } = job.layer;
  const blocks = columns / grid.blockColumns;
  const runsOf = boundaries.slice(1).map((to, g) =>
    cutRows(job.layer, { from: boundaries[g]!, to })
  );
  const errors = runsOf.map(() => RATIOS.map(() => 0));
  const groupsOfRuns = runsOf.flatMap((runs, group) => runs.map((run) => ({ run, group })));
  await runInOrder(groupsOfRuns, async ({ run, group }) => {
    const found = await backend.run({
      verb: "rateRatios",
      slice: sliceRows(job, run.from, run.to, 1).slice,
      bits,
      params: copyRows(kept, run, blocks),
      scaleDtype,
      ratios: RATIOS,
      norm: NORM[bits],
    });
    return { group, found };
  }, ({ group, found }) => {
    for (const [i, error] of found.entries()) errors[group]![i] = errors[group]![i]! + error;
  });
  const candidates = errors.map((error, group) => {
    const least = error.reduce((a, b) => Math.min(a, b));
    return {
      scale: RATIOS.map((ratio) => found.scale[group]! * ratio),
      zero_point: RATIOS.map(() => found.zero_point[group]!),
      // As a power, like the errors of slices; without any error there is nothing to weigh.
      error: error.map((sum) => sum === least ? 1 : (sum / least) ** (2 / NORM[bits])),
    };
  });
  const { path } = optimizePath(candidates, bits, weight);
  const ratioOf = new Map(
    groupsOfRuns.flatMap(({ run, group }) =>
      path[group] === UNCHANGED ? [] : [[run, RATIOS[path[group]!]!] as const]
    ),
  );
  const sums = await reencodeRows(
    { job, backend },
    kept,
    [...ratioOf.keys()],
    found.sums,
    (run) => multiplyScales(viewParams(kept, run, blocks), ratioOf.get(run)!, scaleDtype),
  );
  return {
    scale: path.map((choice, group) => candidates[group]!.scale[choice]!),
    zero_point: found.zero_point,
    sums,
  };
}
