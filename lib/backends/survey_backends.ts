/** Looks at what this machine offers to compute with, and measures each. */

import { estimateLayerParams } from "../estimate_params.ts";
import type { BackendName } from "./backend.ts";
import { MAX_WORKERS } from "./open_backend.ts";
import type { Kernels, Tile } from "./kernels.ts";

/** One backend as found on this machine. */
export interface BackendSurvey {
  /** Which one. */
  name: BackendName;
  /** Whether it can be used here. */
  available: boolean;
  /** What it runs on, or why it cannot be used. */
  description: string;
  /** BF16 weights turned into INT4 codes each second by one thread or the device; `null` if it cannot be used. */
  elements_per_second: number | null;
  /** Threads or devices that would work at once. */
  parallel: number;
}

/** Rows and columns of the matrix measured with: 4 MiB of BF16, more than a core's second-level cache. */
const SHAPE = { rows: 512, columns: 4096 };

/** Milliseconds each backend is measured for. */
const MEASURE_MS = 200;

/** Surveys all backends. */
export async function surveyBackends(): Promise<BackendSurvey[]> {
  const { referenceKernels } = await import("./reference_kernels.ts");
  const { wasmKernels } = await import("./wasm_kernels.ts");
  const workers = Math.min(navigator.hardwareConcurrency, MAX_WORKERS);
  return [
    {
      name: "wasm",
      available: true,
      description: "SIMD WebAssembly, one worker a core",
      elements_per_second: measureKernels(wasmKernels),
      parallel: workers,
    },
    {
      name: "reference",
      available: true,
      description: "plain TypeScript, one thread",
      elements_per_second: measureKernels(referenceKernels),
      parallel: 1,
    },
  ];
}

/** Weights each second through range and encode, on this thread. */
function measureKernels(kernels: Kernels): number {
  const { rows, columns } = SHAPE;
  const tile: Tile = { dtype: "BF16", rows, columns, blockRows: rows, blockColumns: columns };
  const bytes = kernels.input(rows * columns * 2);
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, rows * columns);
  // Values from 0.0078 to 0.0156 of both signs: what a trained matrix looks like to the kernels.
  for (let i = 0; i < words.length; i++) words[i] = 0x3c00 | (i & 0x7f) | ((i & 0x80) << 8);
  const start = performance.now();
  let runs = 0;
  do {
    const input = kernels.input(rows * columns * 2);
    const { lo, hi } = kernels.range(input, tile);
    kernels.encode(input, tile, 4, estimateLayerParams(lo, hi, 1, 4, "BF16"));
    runs++;
  } while (performance.now() - start < MEASURE_MS);
  return (runs * rows * columns * 1000) / (performance.now() - start);
}
