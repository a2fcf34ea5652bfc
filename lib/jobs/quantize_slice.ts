/** Measures slices and encodes them with the parameters of their own ranges, reading each once if it can. */

import type { BlockParams, BlockRanges } from "../compute/kernels.ts";
import { estimateLayerParams, isWithinBounds } from "../params/estimate_params.ts";
import type { QualitySums, Scheme } from "../types.ts";
import { type Desk, fitsInBuffer, halfOver } from "./desk.ts";
import { type CodesTarget, writeCodes } from "./encode_slice.ts";
import { measureTiles } from "./measure_slice.ts";
import { type Bands, cutBands } from "./slice.ts";

/** Asks for bands to be measured and encoded. */
export interface QuantizeJob extends CodesTarget, Bands, Scheme {
  verb: "quantize";
}

/** Bands that were measured and, where that was enough to fix their parameters, encoded. */
export interface QuantizedBands extends BlockRanges {
  /** Energies of each band; `undefined` where a block is all zero or beyond bounds, so that nothing was encoded. */
  sums: (QualitySums | undefined)[];
}

/** Runs the job. */
export async function quantizeBands(job: QuantizeJob, desk: Desk): Promise<QuantizedBands> {
  const bands = [...cutBands(job)];
  const blocks = bands.reduce((sum, { blocks: { count } }) => sum + count, 0);
  const [lo, hi] = [new Float32Array(blocks), new Float32Array(blocks)];
  const tell = halfOver(1, desk.onBytes);
  const sums: QuantizedBands["sums"] = [];
  for (const { slice, row, blocks: { first } } of bands) {
    const ranges = await measureTiles(slice, desk, tell);
    lo.set(ranges.lo, first);
    hi.set(ranges.hi, first);
    const params = ownParams(job, ranges);
    const own = { ...job, slice, row: job.row + row };
    sums.push(params && await writeCodes({ ...own, params }, desk, fitsInBuffer(slice), tell));
  }
  return { lo, hi, sums };
}

/**
 * The parameters of a slice by its own ranges, if that is enough: an all-zero block takes its
 * neighbour's, and a range beyond bounds is refused.
 */
function ownParams(scheme: Scheme, { lo, hi }: BlockRanges): BlockParams | undefined {
  for (let i = 0; i < lo.length; i++) {
    if (!(lo[i]! < hi[i]! && isWithinBounds({ lo: lo[i]!, hi: hi[i]! }))) return undefined;
  }
  return estimateLayerParams(lo, hi, lo.length, scheme);
}
