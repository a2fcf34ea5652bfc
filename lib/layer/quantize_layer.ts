/** One layer through a backend: its blocks are given parameters, by the phase, and encoded. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Backend } from "../jobs/backend.ts";
import { estimateLayerParams } from "../params/estimate_params.ts";
import { addSums, areMeasured } from "../params/measure_quality.ts";
import { smoothingWindowOf } from "../params/smooth_params.ts";
import type { QuantizeSettings } from "../settings.ts";
import type { QuantizedParams } from "../types.ts";
import { optimizeLayer } from "./optimize_layer.ts";
import { checkRanges } from "./refuse_layer.ts";
import { joinRanges, type LayerJob, paramsOfBand, sliceBands } from "./slice_layer.ts";
import { smoothLayer } from "./smooth_layer.ts";

/** What of the settings a layer needs to know. */
export type PhaseSettings = Pick<
  QuantizeSettings,
  "phase" | "smoothingWindow" | "smoothingMethod" | "markovWeight"
>;

/** What became of a layer. */
export interface QuantizedLayer extends QuantizedParams {
  /** The parameters of its time groups: `params` unless they were smoothed. */
  groups: QuantizedParams["params"];
  /** What phase baseline comes to; absent where it is the phase. */
  baseline?: QuantizedParams;
}

/**
 * Quantizes a layer.
 *
 * @throws {BadInputError} A weight is NaN or infinite, the range of a block exceeds 2^126, or the
 *   quality cannot be measured.
 */
export async function quantizeLayer(
  job: LayerJob,
  backend: Backend,
  settings: PhaseSettings,
): Promise<QuantizedLayer> {
  const isByRange = settings.phase !== "optimize";
  const found = isByRange
    ? await quantizeByRange(job, backend)
    : await optimizeLayer(job, backend, settings.markovWeight);
  checkMeasured(job, found);
  const layer = { ...found, groups: found.params };
  const window = smoothingWindowOf(settings);
  if (window === null) return layer;
  const smoothing = { window, method: settings.smoothingMethod, dtype: job.layer.scaleDtype };
  const smooth = await smoothLayer(job, backend, found, smoothing);
  checkMeasured(job, smooth);
  return { ...layer, ...isByRange ? { baseline: found } : {}, ...smooth };
}

/**
 * Phase baseline: each time group takes the parameters of its own range; those with an all-zero block
 * wait for their neighbours' and are encoded last.
 */
async function quantizeByRange(job: LayerJob, backend: Backend): Promise<QuantizedParams> {
  const { bits, scaleDtype, grid: { bands } } = job.layer;
  const slices = sliceBands(job);
  const found = await Promise.all(
    slices.map((slice) => backend.run({ verb: "quantize", ...slice, scaleDtype })),
  );
  const { lo, hi } = joinRanges(found);
  checkRanges(job, lo, hi);
  const blocks = lo.length / slices.length;
  const params = {
    bands,
    blocks,
    ...estimateLayerParams(lo, hi, blocks, bits, scaleDtype),
  };
  const sums = await Promise.all(
    found.map(({ sums }, band) =>
      sums ??
        backend.run({ verb: "encode", ...slices[band]!, params: paramsOfBand(params, band) })
    ),
  );
  return { params, sums: addSums(sums) };
}

/** A quality that cannot be computed is no quality: the run stops. */
function checkMeasured({ layer, source }: LayerJob, { sums }: QuantizedParams): void {
  if (areMeasured(sums)) return;
  throw new BadInputError(
    `Cannot measure the quality of tensor ${quote(layer.tensor.name)} in ${quote(source.label)}: ` +
      "its errors are no finite numbers: leave it out with --ignore",
  );
}
