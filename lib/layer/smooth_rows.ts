/** Phase smooth by rows: the rows around a boundary move with the mean of their time group. */

import type { Backend } from "../jobs/backend.ts";
import { roundHalfEven } from "../params/estimate_params.ts";
import { planSegments, planWindows, type Smoothing, smoothTrack } from "../params/smooth_params.ts";
import type { FloatDtype } from "../safetensors/dtype.ts";
import { type Bits, type ParamTrack, qmaxOf } from "../types.ts";
import type { GroupFindings } from "./layer_record.ts";
import { reencodeRows } from "./reencode_rows.ts";
import { type KeptParams, multiplyScales, viewParams } from "./row_params.ts";
import { cutRows, type LayerJob, type RowRun } from "./slice_layer.ts";

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
  kept: KeptParams,
  { scale, zero_point, sums }: Pick<GroupFindings, "scale" | "zero_point" | "sums">,
  smoothing: Pick<Smoothing, "window" | "method">,
): Promise<Pick<GroupFindings, "sums" | "schedule">> {
  const { axis: { boundaries }, columns, bits, scaleDtype, grid } = job.layer;
  const blocks = columns / grid.blockColumns;
  const groups: ParamTrack = { starts: boundaries, scale, zero_point };
  const segments = planSegments(boundaries, smoothing);
  const exact = smoothTrack(groups, segments);
  const stored = { ...exact, scale: [...exact.scale], zero_point: [...exact.zero_point] };
  // A window begins in the group on its left, and half of its rows belong to the one on its right.
  const moving = new Map(
    segments.flatMap(({ start, group, share }, segment) =>
      share === 0
        ? []
        : [[start, { segment, group: start < boundaries[group + 1]! ? group : group + 1 }]]
    ),
  );
  const moveRows = ({ from, to }: RowRun) => {
    for (let row = from; row < to; row++) {
      const { segment, group } = moving.get(row)!;
      const moved = moveRow(
        viewParams(kept, { from: row, to: row + 1 }, blocks),
        {
          factor: exact.scale[segment]! / scale[group]!,
          shift: exact.zero_point[segment]! - zero_point[group]!,
        },
        bits,
        scaleDtype,
      );
      stored.scale[segment] = scale[group]! * moved.factor;
      stored.zero_point[segment] = zero_point[group]! + moved.shift;
    }
  };
  const runs = planWindows(boundaries, smoothing.window).flatMap((window) =>
    cutRows(job.layer, window)
  );
  const total = await reencodeRows({ job, backend }, kept, runs, sums, moveRows);
  return { sums: total, schedule: { exact, stored } };
}

/** How far a row moves. */
interface Move {
  /** What its scales are multiplied by. */
  factor: number;
  /** What is added to its zero points. */
  shift: number;
}

/** Moves the parameters of one row in place; gives how far they went on average, after rounding. */
function moveRow(row: KeptParams, move: Move, bits: Bits, dtype: FloatDtype): Move {
  const { zero_point, filled } = row;
  const before = sumOfFilled(row);
  multiplyScales(row, move.factor, dtype);
  const factor = sumOfFilled(row) / before;
  const qmax = qmaxOf(bits);
  let [steps, moved] = [0, 0];
  for (let block = 0; block < zero_point.length; block++) {
    if (filled[block] === 0) continue;
    const zeroPoint = roundHalfEven(zero_point[block]! + move.shift);
    steps -= zero_point[block]!;
    zero_point[block] = Math.min(Math.max(zeroPoint, 0), qmax);
    steps += zero_point[block]!;
    moved++;
  }
  return moved === 0 ? move : { factor, shift: steps / moved };
}

/** The sum of the scales that a mean is made of. */
function sumOfFilled({ scale, filled }: KeptParams): number {
  return scale.reduce((sum, own, block) => filled[block] === 0 ? sum : sum + own, 0);
}
