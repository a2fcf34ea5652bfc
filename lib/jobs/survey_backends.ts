/** Looks at what this machine offers to compute with, and measures each. */

import { estimateLayerParams } from "../params/estimate_params.ts";
import type { BackendName } from "../types.ts";
import { MAX_WORKERS } from "./open_backend.ts";
import type { Kernels, Tile } from "../compute/kernels.ts";

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
  const { createReferenceKernels } = await import("../compute/reference_kernels.ts");
  const { createWasmKernels } = await import("../compute/wasm_kernels.ts");
  return [
    await surveyWebGpu(),
    {
      name: "wasm",
      available: true,
      description: "SIMD WebAssembly, one worker a core",
      elements_per_second: await measureKernels(createWasmKernels()),
      parallel: Math.min(navigator.hardwareConcurrency, MAX_WORKERS),
    },
    {
      name: "reference",
      available: true,
      description: "plain TypeScript, one thread",
      elements_per_second: await measureKernels(createReferenceKernels()),
      parallel: 1,
    },
  ];
}

async function surveyWebGpu(): Promise<BackendSurvey> {
  const { formFor, openDevice, probeWebGpu } = await import("./webgpu.ts");
  const { createDeviceKernels } = await import("../compute/webgpu_kernels.ts");
  const absent: BackendSurvey = {
    name: "webgpu",
    available: false,
    description: "no adapter",
    elements_per_second: null,
    parallel: 1,
  };
  try {
    const probe = await probeWebGpu();
    if (probe === null) return absent;
    const device = await openDevice(probe);
    const kernels = createDeviceKernels(device, formFor(probe));
    const speed = await measureKernels(kernels);
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
    kernels.close();
    device.destroy();
    return {
      ...absent,
      available: true,
      description: `${probe.description}, ${probe.isSoftware ? "software" : "hardware"} adapter, ` +
        `buffers to ${mib(maxBufferSize)}, bindings to ${mib(maxStorageBufferBindingSize)}`,
      elements_per_second: speed,
    };
  } catch (error) {
    return { ...absent, description: error instanceof Error ? error.message : String(error) };
  }
}

/** What the kernels are measured at. */
const SCHEME = { bits: 4, scaleDtype: "BF16", symmetric: false } as const;

/** Weights each second through range and encode, called from this thread. */
async function measureKernels(kernels: Kernels): Promise<number> {
  const { rows, columns } = SHAPE;
  const tile: Tile = { dtype: "BF16", rows, columns, blockRows: rows, blockColumns: columns };
  const bytes = kernels.input(rows * columns * 2);
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, rows * columns);
  // Values from 0.0078 to 0.0156 of both signs: what a trained matrix looks like to the kernels.
  for (let i = 0; i < words.length; i++) words[i] = 0x3c00 | (i & 0x7f) | ((i & 0x80) << 8);
  const once = async () => {
    const input = kernels.input(rows * columns * 2);
    const { lo, hi } = await kernels.range(input, tile);
    await kernels.encode(input, tile, 4, estimateLayerParams(lo, hi, 1, SCHEME), true);
  };
  await once(); // compiles
  const start = performance.now();
  let runs = 0;
  do {
    await once();
    runs++;
  } while (performance.now() - start < MEASURE_MS);
  return (runs * rows * columns * 1000) / (performance.now() - start);
}
