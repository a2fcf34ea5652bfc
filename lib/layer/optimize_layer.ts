/** Phase optimize by slices: the parameters of all its time groups are chosen together. */

import type { Backend } from "../jobs/backend.ts";
import { estimateLayerParams } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { costOfPath, optimizePath } from "../params/optimize_path.ts";
import type { BlockRating } from "../params/rate_block.ts";
import { measureValues } from "../params/read_histogram.ts";
import { checkRanges } from "./refuse_layer.ts";
import { joinRanges, type LayerJob, paramsOfBand, schemeOf, sliceBands } from "./slice_layer.ts";
import {
  type Bits,
  type LayerParams,
  middleOf,
  type QuantizedParams,
  type Scheme,
} from "../types.ts";

/**
 * Least share of its cost that a block has to save. New parameters round every weight anew, and that
 * alone moves what a model computes by half a dB either way; a choice that saves less than this is not
 * worth it, and the parameters of the blocks' own ranges stay.
 */
const LEAST_GAIN = 0.1;

/**
 * Rates candidates for each block, chooses one for each time group, and encodes the layer.
 *
 * @param bands First row of each slice, and the number of rows at the end.
 * @param weight Cost of a jump of 1, in units of the least error a block can have.
 * @returns The choice, and phase baseline's for comparison.
 * @throws {BadInputError} A weight is NaN or infinite, or the range of a block exceeds 2^126.
 */
export async function optimizeLayer(
  job: LayerJob,
  backend: Backend,
  bands: number[],
  weight: number,
): Promise<QuantizedParams & { baseline: QuantizedParams }> {
  const scheme = schemeOf(job.layer);
  const { bits } = scheme;
  const slices = sliceBands(job, bands);
  const rated = await Promise.all(
    slices.map(({ slice }) => backend.run({ verb: "rate", slice, ...scheme })),
  );
  const { lo, hi } = joinRanges(rated);
  checkRanges(job, lo, hi);
  const blocks = lo.length / slices.length;
  const own = { bands, blocks, ...estimateLayerParams(lo, hi, blocks, scheme) };
  const params = { bands, blocks, ...chooseParams(rated, blocks, scheme, weight) };
  const sums = await Promise.all(slices.map(async (slice, band) => {
    const { inputs } = job;
    const own = paramsOfBand(params, band);
    const encode = { verb: "encode", ...slice, params: own, inputs } as const;
    const { values } = rated[band]!;
    if (values === undefined || inputs !== undefined) return backend.run(encode);
    await backend.run({ ...encode, isKnown: true });
    // Values are known only where a band is one block.
    const [scale, zero_point] = [params.scale[band]!, params.zero_point[band]!];
    return measureValues(
      values,
      { scale, zero_point, code_scale: params.code_scale[band]! },
      bits,
    );
  }));
  const baseline = { params: own, sums: addSums(rated.map(({ sums }) => sums!)) };
  return { params, sums: addSums(sums), baseline };
}

/** Chooses for each block over all time groups; an all-zero one takes its neighbour's parameters. */
function chooseParams(
  rated: readonly { ratings: readonly (BlockRating | undefined)[] }[],
  blocks: number,
  { bits, symmetric }: Scheme,
  weight: number,
): Required<Pick<LayerParams, "scale" | "code_scale" | "zero_point">> {
  const size = rated.length * blocks;
  const scale = new Float32Array(size).fill(1);
  const code_scale = new Float32Array(size).fill(1);
  const zero_point = new Uint8Array(size).fill(symmetric ? middleOf(bits) : 0);
  for (let block = 0; block < blocks; block++) {
    const ratings = rated.flatMap(({ ratings }) => ratings[block] ?? []);
    const path = choosePath(ratings, bits, weight);
    let at = -1;
    for (const [group, { ratings: ofGroup }] of rated.entries()) {
      if (ofGroup[block] !== undefined) at++;
      const rating = ratings[Math.max(at, 0)];
      if (rating === undefined) break;
      const choice = path[Math.max(at, 0)]!;
      scale[group * blocks + block] = rating.scale[choice]!;
      code_scale[group * blocks + block] = rating.code_scale[choice]!;
      zero_point[group * blocks + block] = rating.zero_point[choice]!;
    }
  }
  return { scale, code_scale, zero_point };
}

/** The best choice, or the blocks' own parameters where it saves too little. */
function choosePath(ratings: readonly BlockRating[], bits: Bits, weight: number): number[] {
  const { path, cost } = optimizePath(ratings, bits, weight);
  const own = ratings.map(({ error }) => error.length - 1);
  const isWorth = cost <= costOfPath(ratings, own, bits, weight) * (1 - LEAST_GAIN);
  return isWorth ? path : own;
}
