/** The kernels that are compared with the reference. */

import type { Form } from "../lib/compute/lay_out_tile.ts";
import type { Kernels, Tile } from "../lib/compute/kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { NO_ADAPTER, withAdapter } from "./find_adapter.ts";
import type { FloatDtype } from "../lib/safetensors/dtype.ts";

/** Kernels under test. A device takes ten milliseconds to answer, so it is asked on many lanes at once. */
export interface Contender {
  name: string;
  /** Registers a test; it is skipped where this machine lacks what the kernels run on. */
  test: typeof Deno.test.ignore;
  /** None where tests are skipped. */
  lanes: Kernels[];
  /** Random cases; each waits for the one before. */
  numRuns: number;
}

/** The dtypes of weights. */
export const DTYPES: FloatDtype[] = ["F32", "F16", "BF16"];

/** Rows, columns, rows of a block, columns of a block. */
export type Shape = [number, number, number, number];

/** A tile of a shape. */
export function tileOf(dtype: FloatDtype, shape: Shape): Tile {
  const [rows, columns, blockRows, blockColumns] = shape;
  return { dtype, rows, columns, blockRows, blockColumns };
}

/** The kernels, with so many lanes of each form on one device. */
export async function openContenders(lanes: number): Promise<Contender[]> {
  const device = NO_ADAPTER ? undefined : await openDevice((await probeWebGpu())!);
  const lanesOf = (form: Form) =>
    Array.from({ length: device ? lanes : 0 }, () => createDeviceKernels(device!, form));
  return [
    { name: "wasm", test: Deno.test, lanes: [createWasmKernels()], numRuns: 500 },
    {
      name: "webgpu, one invocation a piece,",
      ...withAdapter,
      lanes: lanesOf("solo"),
      numRuns: 60,
    },
    {
      name: "webgpu, one workgroup a piece,",
      ...withAdapter,
      lanes: lanesOf("together"),
      numRuns: 60,
    },
  ];
}
