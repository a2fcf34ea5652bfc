/** One layer through a backend: its blocks are given parameters, by the phase, and encoded. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Backend } from "../jobs/backend.ts";
import { areMeasured } from "../params/measure_quality.ts";
import type { QualitySums } from "../types.ts";
import type { GroupFindings, LayerFindings } from "./layer_record.ts";
import { quantizeByRows } from "./quantize_rows.ts";
import { quantizeBySlices } from "./quantize_slices.ts";
import { sampleCodes, tapParams } from "./sample_codes.ts";
import type { LayerJob, OnParams, PhaseSettings } from "./slice_layer.ts";

/**
 * Quantizes a layer.
 *
 * @param onParams Called for each row once.
 * @throws {BadInputError} A weight is NaN or infinite, the range of a block exceeds 2^126, or the
 *   quality cannot be measured.
 */
export async function quantizeLayer(
  job: LayerJob,
  backend: Backend,
  settings: PhaseSettings,
  onParams: OnParams,
): Promise<LayerFindings> {
  const { bands } = job.layer.grid;
  // Some layers are quantized by rows whatever the others are.
  const sample = sampleCodes(job);
  const onFinal = tapParams(sample, onParams);
  const found: GroupFindings = bands === null
    ? await quantizeByRows(job, backend, { ...settings, granularity: "row" }, onFinal)
    : await quantizeBySlices(job, backend, bands, settings, onFinal);
  for (const { sums } of [found, ...found.baseline === null ? [] : [found.baseline]]) {
    checkMeasured(job, sums);
  }
  return { ...found, weight_histogram: await backend.run(sample.job()) };
}

/** A quality that cannot be computed is no quality: the run stops. */
function checkMeasured({ layer, source }: LayerJob, sums: QualitySums): void {
  if (areMeasured(sums)) return;
  throw new BadInputError(
    `Cannot measure the quality of tensor ${quote(layer.tensor.name)} in ${quote(source.label)}: ` +
      "its errors are no finite numbers: leave it out with --ignore",
  );
}
