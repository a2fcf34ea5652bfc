/** Rates every run of timesteps as a time group of a layer's inputs, so that boundaries can be chosen for all layers. */

import type { Calibration } from "../calibration/calibration.ts";
import { type WithHistogram, withHistograms } from "../calibration/read_histograms.ts";
import { chooseInputParams, rateInputs } from "../params/choose_input_range.ts";
import { costAt, createCosts } from "../params/group_timesteps.ts";
import { signalOf } from "../params/input_errors.ts";
import { sumsOf, weighTimestep } from "../params/plan_input_quantizer.ts";
import type { ActivationBits, ActivationRange } from "../types.ts";

/** Asks for the costs of a layer. */
export interface RateGroupsJob {
  verb: "rateGroups";
  /** The file, without its layers. */
  calibration: Omit<Calibration, "layers">;
  /** Those of one layer. */
  statistics: WithHistogram;
  /** First timestep of each point of the axis, and the number of timesteps at the end: [P+1]. */
  points: number[];
  /** Width of a code. */
  bits: ActivationBits;
  /** How ranges are chosen; a search is stood in for by the better of the two others. */
  range: ActivationRange;
  /** [T] what the relative error of each timestep counts; `undefined`: all the same. */
  timestepWeights: readonly number[] | undefined;
}

/** What a layer's inputs come to. */
export interface RatedGroups {
  /** The relative error of every run of points, see {@linkcode costAt}. */
  costs: Float64Array;
  /** That of one range for all timesteps at 8 bits. */
  usual_error: number;
}

/** Runs the job. */
export function rateGroups(job: RateGroupsJob): Promise<RatedGroups> {
  const { calibration, statistics, points, bits, range, timestepWeights } = job;
  return Promise.resolve(withHistograms(calibration, statistics, (all) => {
    const count = points.length - 1;
    const sums = Array.from({ length: count }, () => new Float64Array(all.bins));
    let point = 0;
    all.visit((counts, t) => {
      while (points[point + 1]! <= t) point++;
      const own = sums[point]!;
      weighTimestep(all, counts, t, timestepWeights);
      for (let bin = 0; bin < counts.length; bin++) own[bin] = own[bin]! + counts[bin]!;
    });
    const { values } = createCosts(count);
    const ways = range === "optimize" ? ["minmax", "p99.9"] as const : [range];
    const whole = sumsOf(all, addAll(sums, all.bins), 0, points[count]!);
    const total = signalOf(whole);
    for (let to = 1; to <= count; to++) {
      const counts = new Float64Array(all.bins);
      for (let from = to - 1; from >= 0; from--) {
        for (let bin = 0; bin < counts.length; bin++) {
          counts[bin] = counts[bin]! + sums[from]![bin]!;
        }
        const own = sumsOf(all, counts, points[from]!, points[to]!);
        const errors = ways.map((way) => chooseInputParams(own, way, bits).error);
        values[costAt(from, to)] = total === 0 ? 0 : Math.min(...errors) / total;
      }
    }
    return { costs: values, usual_error: rateInputs(whole) };
  }));
}

function addAll(parts: readonly Float64Array[], length: number): Float64Array {
  const all = new Float64Array(length);
  for (const part of parts) for (let i = 0; i < length; i++) all[i] = all[i]! + part[i]!;
  return all;
}
