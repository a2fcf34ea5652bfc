/** Quantizes what the layers of a model are applied to, by the schedules of a checkpoint. */

import { BadInputError } from "../../lib/base/errors.ts";
import { quote } from "../../lib/base/text.ts";
import { roundHalfEven } from "../../lib/params/estimate_params.ts";
import type { InputSchedules, LayerSchedule } from "../../lib/run/read_time_groups.ts";
import { type ActivationBits, qmaxOf, type QuantParams } from "../../lib/types.ts";
import type { Linear } from "./linear.ts";

/** An input of a model, which nothing but these layers reads. */
export interface LayerInput {
  /** Layers that are applied to it, by their names in the checkpoint. */
  names: readonly string[];
  /** The first that is applied; the others find the input as it leaves it. */
  first: Linear;
}

/**
 * Quantizes inputs from now on, in place: each once, before the first of its layers is applied. Layers without a
 * schedule are left as they are.
 *
 * @param schedules Of a checkpoint.
 * @param inputs All that the model has.
 * @returns Tells the layers the time of what they are applied to next, which has to be done once at least: they
 *   take the parameters of the nearest recorded timestep.
 * @throws {BadInputError} A schedule is of no layer of the model, or layers that share an input quantize it
 *   differently.
 */
export function quantizeInputs(
  { bits, timesteps, layers }: InputSchedules,
  inputs: readonly LayerInput[],
): (time: number) => void {
  const byName = new Map(layers.map((schedule) => [schedule.name, schedule]));
  const known = new Set(inputs.flatMap(({ names }) => names));
  const strange = layers.find(({ name }) => !known.has(name));
  if (strange !== undefined) {
    throw new BadInputError(
      `Cannot quantize the inputs of ${quote(strange.name)}: the model has no such layer`,
    );
  }
  let step = 0;
  for (const { names, first } of inputs) {
    const params = stepsOf(names, byName);
    if (params === undefined) continue;
    first.onInput = (x, rows) =>
      quantizeValues(x.subarray(0, rows * first.inputs), params[step]!, bits);
  }
  return (time) => {
    step = findNearest(timesteps, time);
  };
}

/** The parameters that layers of one input have at each timestep; `undefined`: they are left as they are. */
function stepsOf(
  names: readonly string[],
  byName: ReadonlyMap<string, LayerSchedule>,
): QuantParams[] | undefined {
  const own = names.map((name) => byName.get(name));
  const [first, ...others] = own.map((schedule) => schedule && listSteps(schedule));
  const other = others.findIndex((steps) => JSON.stringify(steps) !== JSON.stringify(first));
  if (other === -1) return first;
  throw new BadInputError(
    `Cannot quantize the input of ${quote(names[0]!)}: that of ${quote(names[other + 1]!)} is ` +
      "quantized otherwise, and they share one: record them as one, and leave neither out",
  );
}

/** The parameters at each timestep: [T]. */
function listSteps({ boundaries, scale, zero_point }: LayerSchedule): QuantParams[] {
  const steps = boundaries.at(-1)!;
  const isByGroup = scale.length < steps;
  let group = 0;
  return Array.from({ length: steps }, (_, step) => {
    while (boundaries[group + 1]! <= step) group++;
    const at = isByGroup ? group : step;
    return { scale: scale[at]!, zero_point: zero_point[at]! };
  });
}

/**
 * Quantizes and decodes values, in place: code = clamp(round_half_even(x / scale) + zero_point, 0, 2^bits - 1),
 * x = (code - zero_point) scale. NaN stays what it is.
 */
export function quantizeValues(
  values: Float32Array,
  { scale, zero_point }: QuantParams,
  bits: ActivationBits,
): void {
  const [least, most] = [-zero_point, qmaxOf(bits) - zero_point];
  for (let i = 0; i < values.length; i++) {
    const steps = roundHalfEven(values[i]! / scale);
    values[i] = (steps < least ? least : steps > most ? most : steps) * scale;
  }
}

/**
 * The place of the time that is nearest to another one; of two as near that of the earlier.
 *
 * @param timesteps One or more, ascending.
 */
export function findNearest(timesteps: readonly number[], time: number): number {
  let nearest = 0;
  for (const [step, other] of timesteps.entries()) {
    if (Math.abs(other - time) < Math.abs(timesteps[nearest]! - time)) nearest = step;
  }
  return nearest;
}
