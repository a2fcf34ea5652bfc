/** What a report says of the calibration of its run. */

import type { Drift } from "../calibration/measure_drift.ts";
import type { LayerRecord } from "../layer/layer_record.ts";
import { measureOutputs } from "../params/measure_quality.ts";
import type { QuantizeSettings, TimestepWeights } from "../settings/settings.ts";

/** What of a calibration file a report is about. */
export interface RunCalibration {
  /** How the inputs of the run's layers change over time, where that is known. */
  drift: Drift | undefined;
  /** [T] diffusion timesteps or mask levels. */
  timesteps: readonly number[];
  /** Segments of the time axis with statistics of their own. */
  segments: number;
}

/** A calibration as a report has it. */
export interface CalibrationReport {
  /** Diffusion timesteps or mask levels that were recorded. */
  timesteps: number;
  /** Segments of the time axis with statistics of their own. */
  segments: number;
  /** Largest rank of a sketch. */
  rank: number;
  /** How much each timestep counts. */
  weights: "recorded" | TimestepWeights;
  /** Layers whose errors were compensated. */
  compensated_layers: number;
  /** Layers that were not, since the file has no sketch of their inputs. */
  other_layers: number;
  /** How the inputs of the run's layers change over time; absent where nothing was recorded by time. */
  drift?: Drift;
}

/** Reports the calibration of a run. */
export function reportCalibration(
  { timesteps, segments, drift }: RunCalibration,
  { timestepWeights }: Pick<QuantizeSettings, "timestepWeights">,
  records: readonly Pick<LayerRecord, "inputs_rank">[],
): CalibrationReport {
  const ranks = records.map(({ inputs_rank }) => inputs_rank ?? 0);
  const compensated = ranks.filter((rank) => rank > 0).length;
  return {
    timesteps: timesteps.length,
    segments,
    rank: ranks.reduce((most, rank) => Math.max(most, rank), 0),
    weights: timestepWeights ?? "recorded",
    compensated_layers: compensated,
    other_layers: ranks.length - compensated,
    ...drift === undefined ? {} : { drift },
  };
}

/** Output figures of a run. */
export interface OutputFigures {
  /**
   * SQNR of the layers' outputs in dB: of their mean relative error, weighted by elements, over the layers of which
   * it is known; absent where there are none.
   */
  output_sqnr_db?: number;
  /** The same in each segment of the time axis; `null` where it is unknown. */
  output_sqnr_db_by_segment?: (number | null)[];
}

/** The output SQNR of a model, as a whole and by segment; absent where nothing is known. */
export function reportOutputs(
  records: readonly Pick<LayerRecord, "rows" | "columns" | "sums">[],
): OutputFigures {
  const layers = records.map(({ rows, columns, sums }) => ({ elements: rows * columns, sums }));
  const whole = measureOutputs(layers);
  const parts = layers.flatMap(({ elements, sums: { output, ...sums } }) =>
    output?.segments === undefined ? [] : [{ elements, sums, segments: output.segments }]
  );
  const count = parts[0]?.segments.length ?? 0;
  const bySegment = Array.from(
    { length: count },
    (_, s) =>
      measureOutputs(parts.map(({ elements, sums, segments }) => ({
        elements,
        sums: { ...sums, output: segments[s] },
      }))) ?? null,
  );
  return {
    ...whole !== undefined && { output_sqnr_db: whole },
    ...count > 0 && { output_sqnr_db_by_segment: bySegment },
  };
}

/** A calibration in a few words. */
export function describeCalibration(
  { timesteps, segments, rank, weights }: CalibrationReport,
): string {
  const parts = segments === 1 ? "" : ` in ${segments} segments`;
  return `${timesteps} timesteps${parts}, rank ${rank}, weights ${weights}`;
}
