/** Plans the quantizers of layer inputs: where time groups begin, and the parameters of each layer in each of them. */

import { hasHistogram, type WithHistogram } from "../calibration/read_histograms.ts";
import type { Backend } from "../jobs/backend.ts";
import type { InputQuantizer } from "../params/plan_input_quantizer.ts";
import type { ActivationRecords } from "../layer/activation_record.ts";
import { createCosts, groupPoints } from "../params/group_timesteps.ts";
import { inputWindowOf } from "../params/smooth_params.ts";
import { fullName, type LayerPlan } from "../plan/plan_layer.ts";
import { planTimeGroups } from "../plan/plan_time_groups.ts";
import { activationRangeOf, markovWeightOf, type QuantizeSettings } from "../settings/settings.ts";
import type { ActivationBits } from "../types.ts";
import type { RunPlan } from "./plan_run.ts";

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
  const boundaries = settings.grouping === "equal"
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
    })
  ));
  const byLayer = new Map<LayerPlan, InputQuantizer>(
    known.flatMap(({ users }, i) => users.map(({ layer }) => [layer, found[i]!] as const)),
  );
  return {
    bits,
    timesteps,
    axis: { source: "calibrated", boundaries },
    layers: plan.parts.flatMap(({ component, selection }) =>
      selection.layers.flatMap((layer) => {
        const own = byLayer.get(layer);
        const { rows, columns } = layer;
        return own === undefined
          ? []
          : [{ name: fullName(component, layer.name), rows, columns, ...own }];
      })
    ),
    missing,
  };

  /** The boundaries with the least sum of the layers' relative errors. */
  async function chooseBoundaries(
    known: readonly KnownInputs[],
    bits: ActivationBits,
  ): Promise<number[]> {
    const count = Math.max(settings.timeGroups, Math.min(MAX_POINTS, timesteps.length));
    const points = planTimeGroups(timesteps.length, count);
    const rated = await Promise.all(
      known.map(({ statistics }) =>
        backend.run({ verb: "rateGroups", calibration: file, statistics, points, bits, range })
      ),
    );
    const costs = createCosts(count);
    // In their order, so that the sum does not depend on who was first.
    for (const own of rated) {
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
