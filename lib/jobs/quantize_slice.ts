/** Measures a slice and encodes it with the parameters of its own ranges, reading it once if it can. */

import type { BlockParams, BlockRanges } from "../compute/kernels.ts";
import { estimateLayerParams, isWithinBounds } from "../params/estimate_params.ts";
import type { QualitySums, Scheme } from "../types.ts";
import { type Desk, fitsInBuffer, halfOver } from "./desk.ts";
import { type CodesTarget, writeCodes } from "./encode_slice.ts";
import { measureTiles } from "./measure_slice.ts";
import type { Slice } from "./slice.ts";

/** Asks for a slice to be measured and encoded. */
export interface QuantizeJob extends CodesTarget, Scheme {
  verb: "quantize";
  slice: Slice;
}

/** A slice that was measured and, where that was enough to fix its parameters, encoded. */
export interface QuantizedSlice extends BlockRanges {
  /** Energies of the slice; `undefined` where a block is all zero or beyond bounds, so that nothing was encoded. */
  sums: QualitySums | undefined;
}

/** Runs the job. */
export async function quantizeSlice(job: QuantizeJob, desk: Desk): Promise<QuantizedSlice> {
  const { slice } = job;
  const ranges = await measureTiles(slice, desk, halfOver(1, desk.onBytes));
  const params = ownParams(job, ranges);
  if (params === undefined) return { ...ranges, sums: undefined };
  const tell = halfOver(1, desk.onBytes);
  const sums = await writeCodes({ ...job, params }, desk, fitsInBuffer(slice), tell);
  return { ...ranges, sums };
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
