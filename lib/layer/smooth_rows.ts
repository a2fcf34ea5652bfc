/** Phase smooth by rows: the rows around a boundary move with the mean of their time group. */

import type { BlockParams } from "../compute/kernels.ts";
import type { Backend } from "../jobs/backend.ts";
import { roundHalfEven } from "../params/estimate_params.ts";
import { replaceSums } from "../params/measure_quality.ts";
import { planSegments, planWindows, type Smoothing, smoothTrack } from "../params/smooth_params.ts";
import { type FloatDtype, roundScale } from "../safetensors/dtype.ts";
import { type Bits, type ParamTrack, qmaxOf } from "../types.ts";
import type { LayerFindings } from "./quantize_layer.ts";
import { copyParams, viewParams } from "./row_params.ts";
import { cutRows, type LayerJob, sliceRows } from "./slice_layer.ts";

/**
 * Smooths a layer that is already encoded: the scales of a row in a window are multiplied by the
 * interpolated mean over the group's own mean, and its zero points moved by the difference of the two.
 *
 * @param kept [rows * blocks] parameters of all rows; changed where rows move.
 * @param found The means of the time groups, and the energies so far.
 */
export async function smoothRows(
  job: LayerJob,
  backend: Backend,
  kept: BlockParams,
  { scale, zero_point, sums }: Pick<LayerFindings, "scale" | "zero_point" | "sums">,
  smoothing: Pick<Smoothing, "window" | "method">,
): Promise<Pick<LayerFindings, "sums" | "schedule">> {
  const { axis: { boundaries }, columns, bits, scaleDtype, grid } = job.layer;
  const blocks = columns / grid.blockColumns;
  const groups: ParamTrack = { starts: boundaries, scale, zero_point };
  const segments = planSegments(boundaries, smoothing);
  const exact = smoothTrack(groups, segments);
  const stored = { ...exact, scale: [...exact.scale], zero_point: [...exact.zero_point] };
  const before = copyParams(kept);
  for (const [i, { start, group, share }] of segments.entries()) {
    if (share === 0) continue;
    const own = { scale: scale[group]!, zero_point: zero_point[group]! };
    const moved = moveRow(
      viewParams(kept, { from: start, to: start + 1 }, blocks),
      {
        factor: exact.scale[i]! / own.scale,
        shift: exact.zero_point[i]! - own.zero_point,
      },
      bits,
      scaleDtype,
    );
    stored.scale[i] = own.scale * moved.factor;
    stored.zero_point[i] = own.zero_point + moved.shift;
  }
  const runs = planWindows(boundaries, smoothing.window).flatMap((window) =>
    cutRows(job.layer, window)
  );
  const changes = await Promise.all(runs.map((run) =>
    backend.run({
      verb: "reencode",
      ...sliceRows(job, run.from, run.to, 1),
      before: viewParams(before, run, blocks),
      after: viewParams(kept, run, blocks),
    })
  ));
  return { sums: replaceSums(sums, changes), schedule: { exact, stored } };
}

/** How far a row moves. */
interface Move {
  /** What its scales are multiplied by. */
  factor: number;
  /** What is added to its zero points. */
  shift: number;
}

/** Moves the parameters of one row in place; gives how far they went on average, after rounding. */
function moveRow(
  { scale, zero_point, code_scale }: BlockParams,
  { factor, shift }: Move,
  bits: Bits,
  dtype: FloatDtype,
): Move {
  const qmax = qmaxOf(bits);
  let [before, after, steps] = [0, 0, 0];
  for (let block = 0; block < scale.length; block++) {
    before += scale[block]!;
    scale[block] = roundScale(scale[block]! * factor, dtype);
    after += scale[block]!;
    if (code_scale !== undefined) code_scale[block] = code_scale[block]! * factor;
    const moved = Math.min(Math.max(roundHalfEven(zero_point[block]! + shift), 0), qmax);
    steps += moved - zero_point[block]!;
    zero_point[block] = moved;
  }
  return { factor: after / before, shift: steps / scale.length };
}
