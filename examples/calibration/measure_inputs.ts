/** What the layers of a model are fed, over a run of timesteps: ranges first where they are wanted, then sums. */

import { addGram, createGramSpace } from "../forward/add_gram.ts";
import { createSimdMultiplier } from "../forward/multiply_simd.ts";
import type { Subject } from "./subject.ts";

/** A run of timesteps: [from, to). */
export interface Steps {
  /** Index of the first one. */
  from: number;
  /** Index behind the last one. */
  to: number;
}

/** Ranges of a layer's inputs. */
export interface Ranges {
  /** Of each timestep: [steps]. */
  min: Float32Array;
  /** [steps]. */
  max: Float32Array;
}

/** Sums over a layer's inputs. */
export interface Sums {
  /** Inputs by value, for each timestep: [steps, bins], bins of equal width over the bounds; empty without bounds. */
  histogram: Int32Array;
  /** Sum of w_t x x^T over all inputs, upper triangle: [C, C]. */
  gram: Float64Array;
  /** Sum of w_t over all inputs. */
  weight: number;
}

/** What sums need to know beforehand. */
export interface SumSettings {
  /** Least and largest input of each layer over all timesteps, by name; absent: no histograms are made. */
  bounds?: ReadonlyMap<string, readonly [min: number, max: number]>;
  /** [T] what each timestep weighs. */
  weights: readonly number[];
  /** Bins of a histogram. */
  bins: number;
}

/** Least and largest input of each layer at each timestep, by name. */
export function measureRanges(subject: Subject, steps: Steps): Map<string, Ranges> {
  const count = steps.to - steps.from;
  const found = new Map<string, Ranges>();
  for (const name of subject.layers.keys()) {
    found.set(name, {
      min: new Float32Array(count).fill(Infinity),
      max: new Float32Array(count).fill(-Infinity),
    });
  }
  watch(subject, steps, (name, columns, x, rows, step) => {
    const { min, max } = found.get(name)!;
    const at = step - steps.from;
    let [least, most] = [min[at]!, max[at]!];
    for (let i = 0; i < rows * columns; i++) {
      const value = x[i]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    min[at] = least;
    max[at] = most;
  });
  return found;
}

/** Sums over the inputs of each layer, by name. */
export function measureSums(
  subject: Subject,
  steps: Steps,
  { bounds, weights, bins }: SumSettings,
): Map<string, Sums> {
  const widest = Math.max(...Array.from(subject.layers.values(), ({ inputs }) => inputs));
  // In a memory of its own: what the model leaves of the other is too little.
  const space = createGramSpace(createSimdMultiplier(), widest, subject.maxRows);
  const found = new Map<string, Sums>();
  for (const [name, { inputs }] of subject.layers) {
    found.set(name, {
      histogram: new Int32Array(bounds === undefined ? 0 : (steps.to - steps.from) * bins),
      gram: new Float64Array(inputs * inputs),
      weight: 0,
    });
  }
  watch(subject, steps, (name, columns, x, rows, step) => {
    const sums = found.get(name)!;
    if (bounds !== undefined) {
      const from = (step - steps.from) * bins;
      countValues(
        x.subarray(0, rows * columns),
        bounds.get(name)!,
        sums.histogram.subarray(from, from + bins),
      );
    }
    addGram(space, x, rows, columns, weights[step]!, sums.gram);
    sums.weight += weights[step]! * rows;
  });
  return found;
}

/** Adds values to a histogram of equal bins over [min, max]. */
function countValues(
  values: Float32Array,
  [min, max]: readonly [number, number],
  histogram: Int32Array,
): void {
  const last = histogram.length - 1;
  const perUnit = max > min ? histogram.length / (max - min) : 0;
  for (let i = 0; i < values.length; i++) {
    const bin = Math.min(last, Math.floor((values[i]! - min) * perUnit));
    histogram[bin] = histogram[bin]! + 1;
  }
}

/** Runs the model over timesteps, and tells what each layer is applied to. */
function watch(
  { layers, run }: Subject,
  { from, to }: Steps,
  see: (name: string, columns: number, x: Float32Array, rows: number, step: number) => void,
): void {
  let now = from;
  for (const [name, layer] of layers) {
    layer.onInput = (x, rows) => see(name, layer.inputs, x, rows, now);
  }
  for (; now < to; now++) run(now);
  for (const layer of layers.values()) delete layer.onInput;
}
