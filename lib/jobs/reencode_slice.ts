/** Encodes a slice anew, of whose energies with other parameters the caller knows only the whole. */

import type { CompensationInputs, QualitySums } from "../types.ts";
import { type Desk, fitsInBuffer } from "./desk.ts";
import type { BlockParams } from "../compute/kernels.ts";
import { type CodesTarget, encodeTiles, writeCodes } from "./encode_slice.ts";
import type { Slice } from "./slice.ts";

/**
 * Asks for a slice to be encoded with other parameters than before. It is not told of as progress,
 * since its rows are part of another slice's work.
 */
export interface ReencodeJob extends CodesTarget {
  verb: "reencode";
  slice: Slice;
  /** The parameters it was encoded with. */
  before: BlockParams;
  /** Those it is to have. */
  after: BlockParams;
  /** The layer's inputs, where errors are compensated. */
  inputs?: CompensationInputs | undefined;
}

/** Rows that were encoded with some parameters, and now are with others. */
export interface Reencoded {
  /** Their energies with the parameters before. */
  before: QualitySums;
  /** Their energies with those they have now. */
  after: QualitySums;
}

/** Runs the job. */
export async function reencodeSlice(job: ReencodeJob, desk: Desk): Promise<Reencoded> {
  const { before, after, ...target } = job;
  const { slice, bits, inputs } = job;
  const silent = () => {};
  return {
    before: await encodeTiles({ slice, bits, params: before, inputs }, desk, false, silent),
    after: await writeCodes({ ...target, params: after }, desk, fitsInBuffer(slice), silent),
  };
}
