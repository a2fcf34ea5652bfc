/** Granularity slice on one layer: the rows of a time group share parameters. */

import type { Backend } from "../jobs/backend.ts";
import { estimateLayerParams } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { trackOf } from "../params/score_track.ts";
import { smoothingWindowOf } from "../params/smooth_params.ts";
import { markovWeightOf } from "../settings/settings.ts";
import type { QuantizedParams } from "../types.ts";
import type { GroupFindings, GroupsRecord } from "./layer_record.ts";
import { optimizeLayer } from "./optimize_layer.ts";
import { checkRanges } from "./refuse_layer.ts";
import {
  joinRanges,
  type LayerJob,
  type OnParams,
  paramsOfBand,
  type PhaseSettings,
  schemeOf,
  sliceBands,
} from "./slice_layer.ts";
import { smoothLayer } from "./smooth_layer.ts";

/**
 * Quantizes a layer by slices, see {@linkcode quantizeLayer}.
 *
 * @param bands First row of each slice, and the number of rows at the end.
 */
export async function quantizeBySlices(
  job: LayerJob,
  backend: Backend,
  bands: number[],
  settings: PhaseSettings,
  onParams: OnParams,
): Promise<GroupFindings> {
  const found: QuantizedParams & { baseline?: QuantizedParams } = settings.phase === "optimize"
    ? await optimizeLayer(job, backend, bands, markovWeightOf(settings))
    : await quantizeByRange(job, backend, bands);
  const baseline = found.baseline === undefined ? null : recordGroups(found.baseline);
  const groups = recordGroups(found);
  const window = smoothingWindowOf(settings);
  if (window === null) {
    await onParams(found.params);
    return { ...groups, schedule: null, baseline };
  }
  const smoothing = { window, method: settings.smoothingMethod, dtype: job.layer.scaleDtype };
  const smooth = await smoothLayer(job, backend, found, smoothing, onParams);
  return { ...groups, ...smooth, baseline: baseline ?? groups };
}

function recordGroups({ params, sums }: QuantizedParams): GroupsRecord {
  const { scale, zero_point } = trackOf(params);
  return { scale, zero_point, sums };
}

/**
 * Phase baseline: each time group takes the parameters of its own range; those with an all-zero block
 * wait for their neighbours' and are encoded last.
 */
async function quantizeByRange(
  job: LayerJob,
  backend: Backend,
  bands: number[],
): Promise<QuantizedParams> {
  const scheme = schemeOf(job.layer);
  const slices = sliceBands(job, bands);
  const found = await Promise.all(
    slices.map((slice) => backend.run({ verb: "quantize", ...slice, ...scheme })),
  );
  const { lo, hi } = joinRanges(found);
  checkRanges(job, lo, hi);
  const blocks = lo.length / slices.length;
  const params = {
    bands,
    blocks,
    ...estimateLayerParams(lo, hi, blocks, scheme),
  };
  const sums = await Promise.all(
    found.map(({ sums }, band) =>
      sums ??
        backend.run({ verb: "encode", ...slices[band]!, params: paramsOfBand(params, band) })
    ),
  );
  return { params, sums: addSums(sums) };
}
