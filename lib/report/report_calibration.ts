/** What a report says of the calibration of its run. */

import type { LayerRecord } from "../layer/layer_record.ts";
import type { QuantizeSettings, TimestepWeights } from "../settings/settings.ts";

/** What of a calibration file a report is about. */
export interface RunCalibration {
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
}

/** Reports the calibration of a run. */
export function reportCalibration(
  { timesteps, segments }: RunCalibration,
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
  };
}

/** A calibration in a few words. */
export function describeCalibration(
  { timesteps, segments, rank, weights }: CalibrationReport,
): string {
  const parts = segments === 1 ? "" : ` in ${segments} segments`;
  return `${timesteps} timesteps${parts}, rank ${rank}, weights ${weights}`;
}
