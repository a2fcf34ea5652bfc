/** Phase smooth by slices: the rows around each boundary are encoded again, each with its own parameters. */

import type { Backend } from "../jobs/backend.ts";
import type { BlockParams } from "../compute/kernels.ts";
import { replaceSums } from "../params/measure_quality.ts";
import { storedParams, trackOf } from "../params/score_track.ts";
import {
  cutSegments,
  planSegments,
  planWindows,
  type Segment,
  type Smoothing,
  smoothSegments,
  type Window,
} from "../params/smooth_params.ts";
import type { LayerParams, ParamTrack, QuantizedParams } from "../types.ts";
import type { GroupFindings } from "./layer_record.ts";
import { runInOrder } from "./run_in_order.ts";
import { cutRows, type LayerJob, type OnParams, sliceRows } from "./slice_layer.ts";

/**
 * Smooths a layer that is already encoded. Rows in windows have parameters of their own, so that there may be as
 * many as in a layer by rows: they are made some rows at a time.
 *
 * @param found Its time groups and energies so far.
 * @param onParams Told of the parameters of all rows.
 */
export async function smoothLayer(
  job: LayerJob,
  backend: Backend,
  { params: groups, sums }: QuantizedParams,
  smoothing: Smoothing,
  onParams: OnParams,
): Promise<Pick<GroupFindings, "sums" | "schedule">> {
  const { layer, inputs } = job;
  const segments = planSegments(groups.bands, smoothing);
  const smooth = (run: Window) =>
    smoothSegments(groups, cutSegments(segments, run), run.to, smoothing.dtype);
  const changes: Parameters<typeof replaceSums>[1][number][] = [];
  await runInOrder(
    planWindows(groups.bands, smoothing.window),
    (window) => {
      // In a window each row is a band.
      const { scale, zero_point, code_scale } = smooth(window);
      return backend.run({
        verb: "reencode",
        ...sliceRows(job, window.from, window.to, 1),
        before: paramsOf(groups, window),
        after: { scale, zero_point, code_scale },
        inputs,
      });
    },
    (change) => void changes.push(change),
  );
  const [exact, stored] = [emptyTrack(), emptyTrack()];
  for (const run of cutRows(layer, { from: 0, to: layer.rows })) {
    const params = smooth(run);
    await onParams(params);
    addTrack(exact, trackOf(params), segments);
    addTrack(stored, trackOf(storedParams(params)), segments);
  }
  for (const track of [exact, stored]) track.starts.push(layer.rows);
  return { sums: replaceSums(sums, changes), schedule: { exact, stored } };
}

function emptyTrack(): ParamTrack {
  return { starts: [], scale: [], zero_point: [] };
}

/** Adds the segments that begin in a run of rows; one that began before is there already. */
function addTrack(all: ParamTrack, run: ParamTrack, segments: readonly Segment[]): void {
  for (let i = 0; i < run.scale.length; i++) {
    if (segments[all.scale.length]?.start !== run.starts[i]) continue;
    all.starts.push(run.starts[i]!);
    all.scale.push(run.scale[i]!);
    all.zero_point.push(run.zero_point[i]!);
  }
}

/** The parameters of each row of a window: [rows * K]. */
function paramsOf(params: LayerParams, { from, to }: Window): BlockParams {
  const { bands, blocks } = params;
  const bandOfRow: number[] = [];
  let band = 0;
  for (let row = from; row < to; row++) {
    while (bands[band + 1]! <= row) band++;
    bandOfRow.push(band);
  }
  const expand = <T extends Float32Array | Uint8Array>(out: T, values: T): T => {
    for (const [row, band] of bandOfRow.entries()) {
      out.set(values.subarray(band * blocks, (band + 1) * blocks), row * blocks);
    }
    return out;
  };
  const size = bandOfRow.length * blocks;
  const { code_scale } = params;
  return {
    scale: expand(new Float32Array(size), params.scale),
    zero_point: expand(new Uint8Array(size), params.zero_point),
    code_scale: code_scale && expand(new Float32Array(size), code_scale),
  };
}
