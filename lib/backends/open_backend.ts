/** Chooses a backend and opens it, loading no other. */

import type { Backend, BackendName, OnBytes } from "./backend.ts";

/** What is asked for: a backend, or the fastest this machine has. */
export type BackendChoice = BackendName | "auto";

/** Workers at most: beyond it the file system, not the cores, is what a run waits for. */
const MAX_WORKERS = 8;

/**
 * Source bytes below which a pool costs more than it gains: two workers start in the time one thread
 * quantizes about this much.
 */
const POOL_BYTES = 48 * 2 ** 20;

/**
 * Opens a backend.
 *
 * @param choice Which one; `auto` takes hardware WebGPU, else WebAssembly, else the reference.
 * @param sourceBytes Bytes the run will work through.
 * @param onBytes Told of bytes worked through; may throw to stop the run.
 */
export async function openBackend(
  choice: BackendChoice,
  sourceBytes: number,
  onBytes: OnBytes,
): Promise<Backend> {
  if (choice === "reference") return await openReference(onBytes);
  return await openWasm(sourceBytes, onBytes);
}

async function openReference(onBytes: OnBytes): Promise<Backend> {
  const { createInline } = await import("./inline.ts");
  const { referenceKernels } = await import("./reference_kernels.ts");
  return createInline("reference", "plain TypeScript on one thread", referenceKernels, onBytes);
}

async function openWasm(sourceBytes: number, onBytes: OnBytes): Promise<Backend> {
  const workers = Math.min(navigator.hardwareConcurrency, MAX_WORKERS);
  if (sourceBytes >= POOL_BYTES && workers > 1) {
    const { createPool } = await import("./worker_pool.ts");
    return createPool(workers, onBytes);
  }
  const { createInline } = await import("./inline.ts");
  const { wasmKernels } = await import("./wasm_kernels.ts");
  return createInline("wasm", "SIMD WebAssembly on one thread", wasmKernels, onBytes);
}
