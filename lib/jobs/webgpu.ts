/** The WebGPU backend: lanes on one device, so that reading, computing and writing overlap. */

import type { Backend } from "./backend.ts";
import type { Job, ResultOf } from "./verbs.ts";
import type { OnBytes } from "./desk.ts";
import { createInline } from "./inline.ts";
import type { Form } from "../compute/lay_out_tile.ts";
import { createDeviceKernels } from "../compute/webgpu_kernels.ts";

/**
 * Slices at work at once: while one is read or written, others wait for the device to answer. A fourth
 * gained nothing and brought the process to 400 MB.
 */
const LANES = 3;

/** An adapter, and the form its kernels take. */
export interface Probe {
  /** The adapter. */
  adapter: GPUAdapter;
  /** Whether it computes on the processor. */
  isSoftware: boolean;
  /** Its name. */
  description: string;
}

/** Asks for an adapter; `null` where this machine has none. */
export async function probeWebGpu(): Promise<Probe | null> {
  const adapter = await withRuntimeDirectory(() =>
    navigator.gpu?.requestAdapter({ powerPreference: "high-performance" })
  );
  if (!adapter) return null;
  const { isFallbackAdapter, description, vendor } = adapter.info;
  return {
    adapter,
    isSoftware: isFallbackAdapter,
    description: description || vendor || "unnamed",
  };
}

/** Where Wayland's library looks for a display. */
const RUNTIME_DIRECTORY = "XDG_RUNTIME_DIR";

/**
 * Does something with a directory for Wayland's display, where a program may set one: without one the library
 * that Mesa's drivers load says so on standard error, though no display is needed.
 */
async function withRuntimeDirectory<T>(
  action: () => Promise<T> | undefined,
): Promise<T | undefined> {
  const { state } = Deno.permissions.querySync({ name: "env", variable: RUNTIME_DIRECTORY });
  const isMissing = state === "granted" && Deno.env.get(RUNTIME_DIRECTORY) === undefined;
  if (!isMissing) return await action();
  Deno.env.set(RUNTIME_DIRECTORY, "/");
  try {
    return await action();
  } finally {
    Deno.env.delete(RUNTIME_DIRECTORY);
  }
}

/** Opens a device with the adapter's own limits on buffers. */
export async function openDevice({ adapter }: Probe): Promise<GPUDevice> {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return await adapter.requestDevice({
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
}

/** The form of the kernels that suits an adapter. */
export function formFor({ isSoftware }: Probe): Form {
  return isSoftware ? "solo" : "together";
}

/** Makes a backend of a device. */
export function createWebGpu(
  device: GPUDevice,
  form: Form,
  description: string,
  onBytes: OnBytes,
): Backend {
  const lanes = Array.from({ length: LANES }, () => {
    const kernels = createDeviceKernels(device, form);
    return { kernels, jobs: 0, backend: createInline("webgpu", description, kernels, onBytes) };
  });
  return {
    name: "webgpu",
    description,
    /** Gives a job to the lane with the fewest. */
    async run<J extends Job>(job: J): Promise<ResultOf<J>> {
      const lane = lanes.reduce((a, b) => (b.jobs < a.jobs ? b : a));
      lane.jobs++;
      try {
        return await lane.backend.run(job);
      } finally {
        lane.jobs--;
      }
    },
    close() {
      for (const { backend, kernels } of lanes) {
        backend.close();
        kernels.close();
      }
      device.destroy();
    },
  };
}
