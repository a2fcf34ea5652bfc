/** The plain TypeScript kernels: run anywhere, and are the truth the others are compared with. */

import { BINS } from "../types.ts";
import type { SyncKernels } from "./kernels.ts";
import { compensate } from "./kernels/compensate.ts";
import { encode } from "./kernels/encode.ts";
import { count } from "./kernels/histogram.ts";
import { range } from "./kernels/range.ts";
import { search } from "./kernels/search.ts";

/** Makes the reference kernels. */
export function createReferenceKernels(): SyncKernels {
  let buffer = new Uint8Array(0);
  let counts = new Uint32Array(0);
  return {
    tileBytes: 2 ** 20,
    input(byteLength) {
      if (buffer.length < byteLength) {
        const larger = new Uint8Array(byteLength);
        larger.set(buffer);
        buffer = larger;
      }
      return buffer.subarray(0, byteLength);
    },
    range,
    search,
    encode,
    compensate,
    clearCounts(histograms) {
      counts = new Uint32Array(histograms * BINS);
    },
    count: (bytes, tile, run) => count(bytes, tile, run, counts),
    readCounts: (histograms) => counts.subarray(0, histograms * BINS),
  };
}
