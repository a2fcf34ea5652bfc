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

/**
 * Source bytes below which a look for a GPU does not pay: an adapter was seen to take from 0.04 to 0.65 s
 * to answer, and two cores quantize a gigabyte meanwhile. By size and not by time, so that the same
 * run always takes the same backend.
 */
const GPU_BYTES = 2 * 2 ** 30;

/** What a backend tells while it works. */
export interface BackendHooks {
  /** Source bytes worked through; may wait, or throw to stop the run. */
  onBytes: OnBytes;
  /** A line the user should see. */
  onWarning: (line: string) => void;
}

/**
 * Opens a backend.
 *
 * @param choice Which one; `auto` takes hardware WebGPU, else WebAssembly. All give the same bytes.
 * @param sourceBytes Bytes the run will work through.
 * @throws {BadInputError} WebGPU was asked for, and there is no adapter.
 */
export async function openBackend(
  choice: BackendChoice,
  sourceBytes: number,
  hooks: BackendHooks,
): Promise<Backend> {
  switch (choice) {
    case "reference":
      return await openReference(hooks);
    case "wasm":
      return await openWasm(sourceBytes, hooks);
    case "webgpu":
      return await openWebGpu(hooks);
    case "auto":
      return sourceBytes < GPU_BYTES
        ? await openWasm(sourceBytes, hooks, ", since the model is too small for a GPU to pay")
        : await openFastest(sourceBytes, hooks);
  }
}

/** Starts on WebAssembly, and changes to a GPU if there is one. */
async function openFastest(sourceBytes: number, hooks: BackendHooks): Promise<Backend> {
  const { whileProbing } = await import("./while_probing.ts");
  const why = ", since no hardware WebGPU adapter was found";
  const pool = await openWasm(sourceBytes, hooks, why);
  return whileProbing(pool, async () => {
    try {
      return await openHardware(sourceBytes, hooks);
    } catch (error) {
      warn(hooks, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  });
}

/** The hardware adapter, with WebAssembly behind it; `undefined` where there is none. */
async function openHardware(
  sourceBytes: number,
  hooks: BackendHooks,
): Promise<Backend | undefined> {
  const { createWebGpu, formFor, openDevice, probeWebGpu } = await import("./webgpu.ts");
  const probe = await probeWebGpu();
  if (probe === null || probe.isSoftware) return undefined;
  const { withFallback } = await import("./with_fallback.ts");
  const device = await openDevice(probe);
  const description = `${escapeText(probe.description)}, hardware adapter`;
  const gpu = createWebGpu(device, formFor(probe), description, hooks.onBytes);
  return withFallback(
    gpu,
    () => openWasm(sourceBytes, hooks),
    (reason) => warn(hooks, reason),
  );
}

function warn({ onWarning }: BackendHooks, reason: string): void {
  onWarning(`Warning: WebGPU failed, going on with WebAssembly: ${escapeText(reason)}`);
}

/** The device that was asked for, whatever it is; its failure is an error. */
async function openWebGpu({ onBytes }: BackendHooks): Promise<Backend> {
  const { createWebGpu, formFor, openDevice, probeWebGpu } = await import("./webgpu.ts");
  const { DeviceError } = await import("../compute/kernels.ts");
  const { withFallback } = await import("./with_fallback.ts");
  const fail = (what: string): never => {
    throw new BadInputError(`Cannot use --backend webgpu: ${what}: give --backend wasm or auto`);
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

/** @param why What made it the choice, for the log. */
async function openWasm(
  sourceBytes: number,
  { onBytes }: BackendHooks,
  why = "",
): Promise<Backend> {
  const workers = Math.min(navigator.hardwareConcurrency, MAX_WORKERS);
  if (sourceBytes >= POOL_BYTES && workers > 1) {
    const { createPool, mayStartWorkers } = await import("./worker_pool.ts");
    if (mayStartWorkers()) return createPool(workers, why, onBytes);
    why += ", and without permission to read the program no worker starts";
  }
  const { createInline } = await import("./inline.ts");
  const { createWasmKernels } = await import("../compute/wasm_kernels.ts");
  return createInline("wasm", `SIMD WebAssembly on one thread${why}`, createWasmKernels(), onBytes);
}
