/** Phase smooth by slices: the rows around each boundary are encoded again, each with its own parameters. */

import type { Backend } from "../jobs/backend.ts";
import type { BlockParams } from "../compute/kernels.ts";
import { planWindows, type Smoothing, smoothParams, type Window } from "../params/smooth_params.ts";
import { replaceSums } from "../params/measure_quality.ts";
import type { LayerParams, QuantizedParams } from "../types.ts";
import { type LayerJob, sliceRows } from "./slice_layer.ts";

/**
 * Smooths a layer that is already encoded.
 *
 * @param found Its time groups and energies so far.
 */
export async function smoothLayer(
  job: LayerJob,
  backend: Backend,
  { params: before, sums }: QuantizedParams,
  smoothing: Smoothing,
): Promise<QuantizedParams> {
  const after = smoothParams(before, smoothing);
  const changes = await Promise.all(
    planWindows(before.bands, smoothing.window).map((window) =>
      backend.run({
        verb: "reencode",
        ...sliceRows(job, window.from, window.to, 1),
        before: paramsOf(before, window),
        after: paramsOf(after, window),
        inputs: job.inputs,
      })
    ),
  );
  return { params: after, sums: replaceSums(sums, changes) };
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
