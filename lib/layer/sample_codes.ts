/** Takes a sample of a layer's rows, with the parameters that they end with, to be counted among its codes. */

import type { CountCodesJob } from "../jobs/count_codes.ts";
import type { LayerParams } from "../types.ts";
import { type LayerJob, type OnParams, sliceRows } from "./slice_layer.ts";

/** Rows of a sample, and weights: enough for a histogram of 64 bins, and nothing beside the layer's own work. */
const MOST = { rows: 64, weights: 2 ** 17 } as const;

/** A sample that is being taken. */
export interface CodeSample {
  /** Takes what it needs of parameters that are final; called as {@linkcode OnParams} is. */
  take: (params: LayerParams) => void;
  /** Asks for the sample to be counted, once all parameters were there. */
  job: () => CountCodesJob;
}

/** Begins a sample: rows that lie evenly over the layer. */
export function sampleCodes(job: LayerJob): CodeSample {
  const { rows, columns, bits, grid: { blockColumns } } = job.layer;
  const across = columns / blockColumns;
  const count = Math.max(1, Math.min(MOST.rows, rows, Math.floor(MOST.weights / columns)));
  const taken = Array.from({ length: count }, (_, s) => Math.floor((s + 0.5) * rows / count));
  const scale = new Float32Array(count * across);
  const zero_point = new Uint8Array(count * across);
  return {
    take({ bands, blocks, scale: scales, zero_point: zeroPoints }) {
      let band = 0;
      for (const [s, row] of taken.entries()) {
        if (row < bands[0]! || row >= bands.at(-1)!) continue;
        while (bands[band + 1]! <= row) band++;
        for (let block = 0; block < blocks; block++) {
          scale[s * across + block] = scales[band * blocks + block]!;
          zero_point[s * across + block] = zeroPoints[band * blocks + block]!;
        }
      }
    },
    job: () => {
      const { slice } = sliceRows(job, 0, rows, 1);
      return { verb: "countCodes", slice, bits, rows: taken, scale, zero_point };
    },
  };
}

/** Hands parameters on, and lets a sample take its own. */
export function tapParams({ take }: CodeSample, onParams: OnParams): OnParams {
  return async (params) => {
    take(params);
    await onParams(params);
  };
}
