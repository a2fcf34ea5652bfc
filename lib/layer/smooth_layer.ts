/** Phase smooth on one layer: the rows around each boundary are encoded again, each with its own parameters. */

import type { Backend, EncodeParams } from "../jobs/backend.ts";
import { type LayerJob, sliceRows } from "./slice_layer.ts";
import {
  planWindows,
  type Smoothing,
  smoothSchedule,
  type Window,
} from "../params/smooth_schedule.ts";
import type { QualitySums, QuantizedGroups, QuantizedLayer, Schedule } from "../types.ts";

/**
 * Smooths a layer that is already encoded.
 *
 * @param found Its time groups and energies so far.
 */
export async function smoothLayer(
  job: LayerJob,
  backend: Backend,
  { groups, sums }: QuantizedGroups,
  smoothing: Smoothing,
): Promise<Pick<QuantizedLayer, "schedule" | "sums">> {
  const schedule = smoothSchedule(groups, smoothing);
  const changes = await Promise.all(
    planWindows(groups.starts, smoothing.window).map(async (window) => {
      const slice = { ...sliceRows(job, window.from, window.to), ownRows: true };
      return await backend.reencode(slice, paramsOf(groups, window), paramsOf(schedule, window));
    }),
  );
  return { schedule, sums: replaceSums(sums, changes) };
}

/** The parameters of each row of a window: [rows * K]. */
function paramsOf(schedule: Schedule, { from, to }: Window): EncodeParams {
  const { starts, blocks } = schedule;
  const segments: number[] = [];
  let segment = 0;
  for (let row = from; row < to; row++) {
    while (starts[segment + 1]! <= row) segment++;
    segments.push(segment);
  }
  const expand = <T extends Float32Array | Uint8Array>(out: T, values: T): T => {
    for (const [row, segment] of segments.entries()) {
      out.set(values.subarray(segment * blocks, (segment + 1) * blocks), row * blocks);
    }
    return out;
  };
  const size = segments.length * blocks;
  const { code_scale } = schedule;
  return {
    scale: expand(new Float32Array(size), schedule.scale),
    zero_point: expand(new Uint8Array(size), schedule.zero_point),
    code_scale: code_scale && expand(new Float32Array(size), code_scale),
  };
}

function replaceSums(
  sums: QualitySums,
  changes: readonly { before: QualitySums; after: QualitySums }[],
): QualitySums {
  const replace = (key: keyof QualitySums) =>
    changes.reduce((sum, { before, after }) => sum - before[key] + after[key], sums[key]);
  return {
    signal: sums.signal,
    decoded: replace("decoded"),
    // What is left of a sum that nearly cancels may fall below 0.
    error: Math.max(0, replace("error")),
  };
}
