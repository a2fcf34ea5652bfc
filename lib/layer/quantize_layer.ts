/** One layer through a backend: its time groups are given parameters, by the phase, and encoded. */

import type { Backend } from "../jobs/backend.ts";
import { estimateLayerParams } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { optimizeLayer } from "./optimize_layer.ts";
import type { QuantizeSettings } from "../settings.ts";
import { checkRanges } from "./refuse_layer.ts";
import { joinRanges, type LayerJob, paramsOfGroup, sliceGroups } from "./slice_layer.ts";
import { smoothLayer } from "./smooth_layer.ts";
import { smoothingWindowOf } from "../params/smooth_schedule.ts";
import type { QuantizedGroups, QuantizedLayer } from "../types.ts";

/** What of the settings a layer needs to know. */
export type PhaseSettings = Pick<
  QuantizeSettings,
  "phase" | "smoothingWindow" | "smoothingMethod" | "markovWeight"
>;

/**
 * Quantizes a layer.
 *
 * @throws {BadInputError} A weight is NaN or infinite, or the range of a block exceeds 2^126.
 */
export async function quantizeLayer(
  job: LayerJob,
  backend: Backend,
  settings: PhaseSettings,
): Promise<QuantizedLayer> {
  const isBaseline = settings.phase !== "optimize";
  const found = isBaseline
    ? await establishBaseline(job, backend)
    : await optimizeLayer(job, backend, settings.markovWeight);
  const layer = { ...found, schedule: found.groups };
  const window = smoothingWindowOf(settings);
  if (window === null) return layer;
  const smoothing = { window, method: settings.smoothingMethod, dtype: job.layer.dtype };
  const smooth = await smoothLayer(job, backend, found, smoothing);
  return { ...layer, ...isBaseline ? { baseline: found } : {}, ...smooth };
}

/**
 * Phase baseline: each time group takes the parameters of its own range; those with an all-zero block
 * wait for their neighbours' and are encoded last.
 */
async function establishBaseline(job: LayerJob, backend: Backend): Promise<QuantizedGroups> {
  const { bits, dtype, boundaries } = job.layer;
  const slices = sliceGroups(job);
  const found = await Promise.all(slices.map((slice) => backend.quantize(slice)));
  const { lo, hi } = joinRanges(found);
  checkRanges(job, lo, hi);
  const blocks = lo.length / slices.length;
  const params = estimateLayerParams(lo, hi, blocks, bits, dtype);
  const groups = { starts: boundaries, blocks, ...params };
  const sums = await Promise.all(
    found.map(({ sums }, group) =>
      sums ?? backend.encode(slices[group]!, paramsOfGroup(groups, group))
    ),
  );
  return { groups, sums: addSums(sums) };
}
