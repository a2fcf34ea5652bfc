/** Granularity slice on one layer: the rows of a time group share parameters. */

import type { Backend } from "../jobs/backend.ts";
import { estimateLayerParams } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { trackOf } from "../params/score_track.ts";
import { smoothingWindowOf } from "../params/smooth_params.ts";
import { markovWeightOf } from "../settings/settings.ts";
import type { QualitySums, QuantizedParams } from "../types.ts";
import type { GroupFindings, GroupsRecord } from "./layer_record.ts";
import { optimizeLayer } from "./optimize_layer.ts";
import { checkRanges } from "./refuse_layer.ts";
import { runInOrder } from "./run_in_order.ts";
import {
  gatherBands,
  type LayerJob,
  type OnParams,
  paramsOfBands,
  type PhaseSettings,
  schemeOf,
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
  const { columns, grid: { blockColumns } } = job.layer;
  const blocks = columns / blockColumns;
  const size = (bands.length - 1) * blocks;
  const [lo, hi] = [new Float32Array(size), new Float32Array(size)];
  const sums: (QualitySums | undefined)[] = [];
  await runInOrder(
    gatherBands(job, bands),
    ({ job }) => backend.run({ verb: "quantize", ...job, ...scheme }),
    (found, { first }) => {
      lo.set(found.lo, first * blocks);
      hi.set(found.hi, first * blocks);
      sums.push(...found.sums);
    },
  );
  checkRanges(job, lo, hi);
  const params = {
    bands,
    blocks,
    ...estimateLayerParams(lo, hi, blocks, scheme),
  };
  await runInOrder(
    gatherBands(job, bands, (band) => sums[band] === undefined),
    ({ job, ...run }) =>
      backend.run({ verb: "encode", ...job, params: paramsOfBands(params, run) }),
    (found, { first }) => void sums.splice(first, found.length, ...found),
  );
  return { params, sums: addSums(sums.filter((own) => own !== undefined)) };
}
