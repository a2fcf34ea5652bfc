/** The timestep and label of images, as the transformer takes them: conditions. */

import { silu } from "../forward/activations.ts";
import type { Denoiser } from "./denoiser.ts";
import { DIT } from "./dimensions.ts";
import { applyLinear } from "../forward/linear.ts";

/** Angular frequencies of the timestep's embedding: [64]. */
const FREQUENCIES = Float64Array.from(
  { length: DIT.hidden / 2 },
  (_, i) => Math.exp(-Math.log(10000) * i / (DIT.hidden / 2)),
);

/** The distinct conditions of a batch. */
export interface Conditions {
  /** Ready for the modulations: [count, 128]. */
  values: Float32Array;
  /** How many. */
  count: number;
  /** The condition of each image: [images]. */
  rows: number[];
}

/**
 * Embeds the conditions of images: the timestep's embedding plus the label's, as SiLU leaves it for
 * the modulations. Images of one timestep and label share a condition.
 *
 * @param timesteps [images], 0 to 999.
 * @param labels [images], 0 to 9, or 10 for "no class".
 * @returns Lies in the workspace.
 */
export function embedConditions(
  model: Denoiser,
  timesteps: ArrayLike<number>,
  labels: ArrayLike<number>,
): Conditions {
  const { hidden } = DIT;
  const { conditions: values, timeFeatures } = model.workspace;
  const { distinct, rows } = findDistinct(timesteps, labels);
  const count = distinct.length;
  for (const [row, { timestep }] of distinct.entries()) {
    for (const [i, frequency] of FREQUENCIES.entries()) {
      values[row * hidden + i] = Math.cos(timestep * frequency);
      values[row * hidden + FREQUENCIES.length + i] = Math.sin(timestep * frequency);
    }
  }
  const [first, second] = model.timeEmbedder;
  applyLinear(first, values, timeFeatures, count);
  silu(timeFeatures.subarray(0, count * hidden));
  applyLinear(second, timeFeatures, values, count);
  for (const [row, { label }] of distinct.entries()) {
    for (let i = 0; i < hidden; i++) {
      const at = row * hidden + i;
      values[at] = values[at]! + model.labels[label * hidden + i]!;
    }
  }
  silu(values.subarray(0, count * hidden));
  return { values, count, rows };
}

/** A timestep and a label. */
interface Condition {
  timestep: number;
  label: number;
}

function findDistinct(
  timesteps: ArrayLike<number>,
  labels: ArrayLike<number>,
): { distinct: Condition[]; rows: number[] } {
  const distinct: Condition[] = [];
  const rowOf = new Map<string, number>();
  const rows = Array.from(labels, (label, image) => {
    const timestep = timesteps[image]!;
    const key = `${timestep} ${label}`;
    const row = rowOf.get(key) ?? distinct.push({ timestep, label }) - 1;
    rowOf.set(key, row);
    return row;
  });
  return { distinct, rows };
}
