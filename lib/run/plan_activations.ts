/** Plans the quantizers of layer inputs: where time groups begin, and the parameters of each layer in each of them. */

import { hasHistogram, type WithHistogram } from "../calibration/read_histograms.ts";
import type { Backend } from "../jobs/backend.ts";
import { findOutlying } from "../params/plan_input_quantizer.ts";
import type { ActivationRecord, ActivationRecords } from "../layer/activation_record.ts";
import { createCosts, groupPoints } from "../params/group_timesteps.ts";
import { inputWindowOf } from "../params/smooth_params.ts";
import { fullName, type LayerPlan } from "../plan/plan_layer.ts";
import { planTimeGroups } from "../plan/plan_time_groups.ts";
import {
  activationRangeOf,
  groupingOf,
  markovWeightOf,
  type QuantizeSettings,
} from "../settings/settings.ts";
import type { ActivationBits } from "../types.ts";
import type { RunPlan } from "./plan_run.ts";
import { countedWeights } from "./share_inputs.ts";

/** Most points between which boundaries are chosen: a finer axis is joined to runs of timesteps. */
const MAX_POINTS = 50;

/** Layers of a run with what is known of their inputs, those that share an input once. */
interface KnownInputs {
  statistics: WithHistogram;
  users: { name: string; layer: LayerPlan }[];
}

/**
 * Plans the quantizers of a run.
 *
 * @returns `undefined` where inputs are not quantized.
 * @throws {BadInputError} The calibration has changed since it was checked, or cannot be read.
 */
export async function planActivations(
  plan: RunPlan,
  settings: QuantizeSettings,
  backend: Backend,
): Promise<ActivationRecords | undefined> {
  const { activationBits: bits } = settings;
  if (bits === undefined || plan.calibration === undefined) return undefined;
  const { layers: _, ...file } = plan.calibration.file;
  const { timesteps } = file;
  const { known, missing } = knownInputs(plan);
  const range = activationRangeOf(settings);
  const window = inputWindowOf(settings);
  const smoothing = window === null ? null : { window, method: settings.smoothingMethod };
  const timestepWeights = countedWeights(file, settings);
  const boundaries = groupingOf(settings) === "equal"
    ? planTimeGroups(timesteps.length, settings.timeGroups)
    : await chooseBoundaries(known, bits);
  const found = await Promise.all(known.map(({ statistics }) =>
    backend.run({
      verb: "quantizeInputs",
      calibration: file,
      statistics,
      boundaries,
      bits,
      range,
      smoothing,
      weight: settings.phase === "optimize" ? markovWeightOf(settings) : 0,
      timestepWeights,
    })
  ));
  const outlying = listOutlying(found.map(({ usual_error }) => usual_error));
  const places = new Map(known.flatMap(({ users }, i) => users.map(({ layer }) => [layer, i])));
  const record = (keeps: boolean): ActivationRecord[] =>
    plan.parts.flatMap(({ component, selection }) =>
      selection.layers.flatMap((layer) => {
        const place = places.get(layer);
        if (place === undefined || outlying[place] !== keeps) return [];
        const { rows, columns } = layer;
        return [{ name: fullName(component, layer.name), rows, columns, ...found[place]! }];
      })
    );
  return {
    bits,
    timesteps,
    axis: { source: "calibrated", boundaries },
    layers: record(false),
    kept: record(true),
    missing,
  };

  /** Which inputs are left as they are. */
  function listOutlying(errors: readonly number[]): boolean[] {
    return settings.outlierInputs === "keep" ? findOutlying(errors) : errors.map(() => false);
  }

  /** The boundaries with the least sum of the relative errors of inputs that are not outlying. */
  async function chooseBoundaries(
    known: readonly KnownInputs[],
    bits: ActivationBits,
  ): Promise<number[]> {
    const count = Math.max(settings.timeGroups, Math.min(MAX_POINTS, timesteps.length));
    const points = planTimeGroups(timesteps.length, count);
    const rated = await Promise.all(
      known.map(({ statistics }) =>
        backend.run({
          verb: "rateGroups",
          calibration: file,
          statistics,
          points,
          bits,
          range,
          timestepWeights,
        })
      ),
    );
    const costs = createCosts(count);
    const outlying = listOutlying(rated.map(({ usual_error }) => usual_error));
    // In their order, so that the sum does not depend on who was first.
    for (const [place, { costs: own }] of rated.entries()) {
      if (outlying[place]) continue;
      for (let i = 0; i < own.length; i++) costs.values[i] = costs.values[i]! + own[i]!;
    }
    return groupPoints(costs, settings.timeGroups).boundaries.map((point) => points[point]!);
  }
}

/** Bytes of the histograms that a run reads; the more there are, the longer quantizers take. */
export function histogramBytes(
  plan: Pick<RunPlan, "parts" | "calibration">,
  { activationBits }: Pick<QuantizeSettings, "activationBits">,
): number {
  if (activationBits === undefined) return 0;
  return knownInputs(plan).known.reduce(
    (size, { statistics: { histogram } }) => size + histogram.end - histogram.begin,
    0,
  );
}

/** The inputs that are known of a planned run, and how many layers' are not. */
export function knownInputs(
  { parts, calibration }: Pick<RunPlan, "parts" | "calibration">,
): { known: KnownInputs[]; missing: number } {
  const byInput = new Map<WithHistogram, KnownInputs>();
  let missing = 0;
  for (const { component, selection } of parts) {
    for (const layer of selection.layers) {
      const statistics = calibration?.file.layers.get(layer.name);
      if (!hasHistogram(statistics)) {
        missing++;
        continue;
      }
      const own = byInput.get(statistics) ?? { statistics, users: [] };
      own.users.push({ name: fullName(component, layer.name), layer });
      byInput.set(statistics, own);
    }
  }
  return { known: [...byInput.values()], missing };
}
