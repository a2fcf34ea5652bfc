/** The plain TypeScript backend: runs anywhere, and is the truth the others are compared with. */

import type { Backend } from "./backend.ts";
import { encode } from "./kernels/encode.ts";
import { range } from "./kernels/range.ts";

/** The reference backend; it holds no state. */
export const referenceBackend: Backend = { name: "reference", range, encode };
