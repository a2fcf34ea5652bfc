/** The plain TypeScript kernels: run anywhere, and are the truth the others are compared with. */

import type { Kernels } from "./kernels.ts";
import { encode } from "./kernels/encode.ts";
import { range } from "./kernels/range.ts";

let buffer = new Uint8Array(0);

/** The reference kernels. */
export const referenceKernels = {
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
  encode,
} satisfies Kernels;
