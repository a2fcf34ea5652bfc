/** Predicts what numbers of time groups of inputs would come to, by kind of layer. */

import type { Calibration } from "../calibration/calibration.ts";
import { kindOfLayer } from "../calibration/measure_drift.ts";
import { withHistograms } from "../calibration/read_histograms.ts";
import {
  GROUP_COUNTS,
  planInputQuantizer,
  recommendGroups,
} from "../params/plan_input_quantizer.ts";
import { sqnrOf } from "../params/measure_quality.ts";
import { activationRangeOf, type QuantizeSettings } from "../settings/settings.ts";
import type { ActivationBits } from "../types.ts";
import { knownInputs } from "./plan_activations.ts";
import { countedWeights } from "./share_inputs.ts";
import type { RunPlan } from "./plan_run.ts";

/** Width of the codes that are predicted for unless another is given. */
const USUAL_BITS: ActivationBits = 8;

/** What time groups of inputs would come to. */
export interface PredictedGroups {
  /** Width of a code. */
  bits: ActivationBits;
  /** Numbers of equal time groups. */
  group_counts: number[];
  /** The kinds of layers; all of them first, called `all`. */
  kinds: PredictedKind[];
}

/** What they come to for the layers of a kind. */
export interface PredictedKind {
  /** Their kind. */
  kind: string;
  /** Layers. */
  layers: number;
  /** Expected SQNR in dB with each number of groups: of the mean relative error; `null`: no error. */
  sqnr_db: (number | null)[];
  /** With a range of its own for each timestep. */
  timestep_sqnr_db: number | null;
  /** The least number of groups that comes within 0.5 dB of that; the most where none does. */
  suggested_groups: number;
}

/** Relative errors added up. */
interface KindSums {
  layers: number;
  errors: number[];
  limit: number;
}

/**
 * Predicts the errors of all layers whose inputs are known.
 *
 * @returns `undefined` where none are.
 * @throws {BadInputError} The file has changed since it was checked, or cannot be read.
 */
export function predictGroups(
  plan: Pick<RunPlan, "parts" | "calibration">,
  settings: Pick<
    QuantizeSettings,
    "activationBits" | "activationRange" | "phase" | "timestepWeights"
  >,
): PredictedGroups | undefined {
  const { known } = knownInputs(plan);
  if (known.length === 0) return undefined;
  const { layers: _layers, ...file }: Calibration = plan.calibration!.file;
  const timesteps = file.timesteps.length;
  const bits = settings.activationBits ?? USUAL_BITS;
  const range = activationRangeOf(settings);
  const timestepWeights = countedWeights(file, settings);
  const counts = GROUP_COUNTS.filter((count) => count <= timesteps);
  const kinds = new Map<string, KindSums>();
  for (const { statistics, users } of known) {
    const { signal, error_by_groups, limit_error } = withHistograms(
      file,
      statistics,
      (all) =>
        planInputQuantizer(all, {
          boundaries: [0, timesteps],
          bits,
          range,
          smoothing: null,
          weight: 0,
          timestepWeights,
        }),
    );
    for (const { name } of users) {
      for (const kind of ["all", kindOfLayer(name)]) {
        const sums = kinds.get(kind) ?? { layers: 0, errors: counts.map(() => 0), limit: 0 };
        kinds.set(kind, {
          layers: sums.layers + 1,
          errors: sums.errors.map((sum, i) => sum + relative(error_by_groups[i]!, signal)),
          limit: sums.limit + relative(limit_error, signal),
        });
      }
    }
  }
  return {
    bits,
    group_counts: [...counts],
    kinds: [...kinds].map(([kind, { layers, errors, limit }]) => ({
      kind,
      layers,
      sqnr_db: errors.map((error) => sqnrOf(error / layers)),
      timestep_sqnr_db: sqnrOf(limit / layers),
      suggested_groups: recommendGroups(errors, limit),
    })),
  };
}

function relative(error: number, signal: number): number {
  return signal > 0 ? error / signal : 0;
}
