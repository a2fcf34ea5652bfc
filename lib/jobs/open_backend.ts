/** Chooses a backend and opens it, loading no other. */

import { BadInputError } from "../base/errors.ts";
import { escapeText } from "../base/text.ts";
import type { BackendChoice } from "../types.ts";
import type { Backend } from "./backend.ts";
import type { OnBytes } from "./desk.ts";

/** Workers at most: beyond it the file system, not the cores, is what a run waits for. */
export const MAX_WORKERS = 8;

/** Source bytes below which a pool does not pay: two workers start in the time one thread quantizes this much. */
const POOL_BYTES = 48 * 2 ** 20;

/** What a run asks of the machine. */
export interface Demand {
  /** What it will do, as source bytes that take as long to be quantized by their ranges. */
  work: number;
  /** Workers that it has the memory for. */
  workers?: number;
}

/** What a backend tells while it works. */
export interface BackendHooks {
  /** Source bytes worked through; may wait, or throw to stop the run. */
  onBytes: OnBytes;
}

/**
 * Opens a backend.
 *
 * @param choice Which one; all give the same bytes. `auto` takes WebAssembly, whatever else there is: it was
 *   the fastest beside a large GPU too, since Deno answers a read-back only every 10 ms and weights travel
 *   to the device and back.
 * @throws {BadInputError} WebGPU was asked for, and there is no adapter.
 */
export async function openBackend(
  choice: BackendChoice,
  demand: Demand,
  hooks: BackendHooks,
): Promise<Backend> {
  switch (choice) {
    case "reference":
      return await openReference(hooks);
    case "webgpu":
      return await openWebGpu(hooks);
    case "auto":
    case "wasm":
      return await openWasm(demand, hooks);
  }
}

/** The device that was asked for, whatever it is; its failure is an error. */
async function openWebGpu({ onBytes }: BackendHooks): Promise<Backend> {
  const { createWebGpu, formFor, openDevice, probeWebGpu } = await import("./webgpu.ts");
  const { DeviceError } = await import("../compute/kernels.ts");
  const { withFallback } = await import("./with_fallback.ts");
  const fail = (what: string): never => {
    throw new BadInputError(
      `Cannot use --backend webgpu: ${what}: give --backend wasm, or leave it out`,
    );
  };
  const probe = await probeWebGpu() ?? fail("this machine has no WebGPU adapter");
  const kind = probe.isSoftware ? "software adapter" : "hardware adapter";
  const device = await openDevice(probe).catch((error: unknown) =>
    fail(escapeText(error instanceof DeviceError ? error.message : String(error)))
  );
  const description = `${escapeText(probe.description)}, ${kind}`;
  const gpu = createWebGpu(device, formFor(probe), description, onBytes);
  return withFallback(gpu, () => Promise.reject(gpu), (reason) => fail(escapeText(reason)));
}

async function openReference({ onBytes }: BackendHooks): Promise<Backend> {
  const { createInline } = await import("./inline.ts");
  const { createReferenceKernels } = await import("../compute/reference_kernels.ts");
  return createInline(
    "reference",
    "plain TypeScript on one thread",
    createReferenceKernels(),
    onBytes,
  );
}

async function openWasm(
  { work, workers: most = MAX_WORKERS }: Demand,
  { onBytes }: BackendHooks,
): Promise<Backend> {
  const openHere = async (description: string) => {
    const { createInline } = await import("./inline.ts");
    const { createWasmKernels } = await import("../compute/wasm_kernels.ts");
    return createInline("wasm", description, createWasmKernels(), onBytes);
  };
  const alone = "SIMD WebAssembly on one thread";
  const workers = Math.min(navigator.hardwareConcurrency, MAX_WORKERS, most);
  if (work < POOL_BYTES || workers < 2) return await openHere(alone);
  const { createPool, mayStartWorkers } = await import("./worker_pool.ts");
  if (!mayStartWorkers()) {
    return await openHere(
      `${alone}, since without permission to read the program no worker starts`,
    );
  }
  const { keepSmall } = await import("./keep_small.ts");
  return keepSmall(alone, () => openHere(alone), () => createPool(workers, onBytes));
}
