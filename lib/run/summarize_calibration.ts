/** What a calibration knows of the layers of a run, as plain JSON, for `inspect` and `--dry-run`. */

import type { Calibration, StatisticKind } from "../calibration/calibration.ts";
import { type Drift, measureDrift } from "../calibration/measure_drift.ts";
import type { PlannedCalibration, RunPlan } from "./plan_run.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import { type PredictedErrors, predictErrors } from "./predict_errors.ts";
import { type PredictedGroups, predictGroups } from "./predict_groups.ts";

/** A calibration as plain JSON. */
export interface CalibrationSummary {
  /** The file. */
  file: string;
  /** Layout of the file. */
  version: 1 | 2;
  /** Bytes of the statistics by kind; a shared input counts once. */
  bytes: { sketches: number; squares: number; histograms: number; ranges: number };
  /** Diffusion timesteps or mask levels: how many, the first and the last one. */
  timesteps: { count: number; first: number; last: number };
  /** Whether the timesteps weigh alike in what was added up. */
  equal_weights: boolean;
  /** Segments of the time axis with statistics of their own. */
  segments: number;
  /** Layers of the run by what is known of their inputs. */
  layers: {
    /** A sketch, so that errors are compensated. */
    sketched: string[];
    /** Squares and no sketch. */
    squares_only: string[];
    /** Ranges or histograms alone. */
    ranges_only: string[];
    /** Nothing. */
    missing: string[];
  };
  /** Layers of the run that are fed what another one is, whose statistics they share. */
  shared_inputs: number;
  /** Least and largest rank of a sketch, of layers of the run; `null`: there are no sketches. */
  ranks: { least: number; most: number } | null;
  /** Layers of the file that the model does not have. */
  strange_layers: string[];
  /** How inputs change over time; `null` where nothing is known by time. */
  drift: Drift | null;
  /** What rounding to the nearest code would come to, for each width; empty where no squares are known. */
  predicted_errors: PredictedErrors[];
  /** What time groups of quantized inputs would come to; `null` where no histograms are known. */
  predicted_groups: PredictedGroups | null;
}

/**
 * Sums up the calibration of a run.
 *
 * @throws {BadInputError} A file has changed since it was checked, or cannot be read.
 */
export function summarizeCalibration(
  planned: PlannedCalibration,
  plan: Pick<RunPlan, "parts" | "calibration">,
  settings: QuantizeSettings,
): CalibrationSummary {
  const { file, covered, missing, unsketched, strange } = planned;
  const { version, timesteps, weights, segments } = file;
  const isSquared = (name: string) => file.layers.get(name)?.square !== undefined;
  const own = covered.filter((name) => file.layers.get(name)?.name === name);
  return {
    file: file.label,
    version,
    bytes: measureParts(file),
    timesteps: { count: timesteps.length, first: timesteps[0]!, last: timesteps.at(-1)! },
    equal_weights: weights === undefined || weights.every((weight) => weight === weights[0]),
    segments,
    layers: {
      sketched: covered.filter((name) => file.layers.get(name)?.sketch !== undefined),
      squares_only: unsketched.filter(isSquared),
      ranges_only: unsketched.filter((name) => !isSquared(name)),
      missing,
    },
    shared_inputs: covered.length - own.length,
    ranks: rangeOf(covered.flatMap((name) => file.layers.get(name)?.rank ?? [])),
    strange_layers: strange,
    drift: measureDrift(file, covered) ?? null,
    predicted_errors: predictErrors(file, plan.parts),
    predicted_groups: predictGroups(plan, settings) ?? null,
  };
}

/** Bytes by kind of statistics. */
function measureParts({ layers }: Calibration): CalibrationSummary["bytes"] {
  const all = [...new Set(layers.values())];
  const sizeOf = (kind: StatisticKind) =>
    all.reduce((sum, layer) => sum + ((layer[kind]?.end ?? 0) - (layer[kind]?.begin ?? 0)), 0);
  return {
    sketches: sizeOf("sketch"),
    squares: sizeOf("square"),
    histograms: sizeOf("histogram"),
    ranges: sizeOf("min") + sizeOf("max"),
  };
}

function rangeOf(ranks: readonly number[]): CalibrationSummary["ranks"] {
  if (ranks.length === 0) return null;
  return {
    least: ranks.reduce((a, b) => Math.min(a, b)),
    most: ranks.reduce((a, b) => Math.max(a, b)),
  };
}
