/** Weights a second through the kernels of each backend, range and encode, BF16 to INT4 in blocks of a slice. */

import { estimateLayerParams } from "../lib/params/estimate_params.ts";
import type { Kernels } from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { formFor, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import type { Bits } from "../lib/types.ts";
import { noise } from "../tests/make_model.ts";

const COLUMNS = 2048;

/** Median seconds of a call, over half a second or five calls. */
async function seconds(call: () => unknown): Promise<number> {
  await call();
  const times: number[] = [];
  const start = performance.now();
  while (times.length < 5 || performance.now() - start < 500) {
    const before = performance.now();
    await call();
    times.push((performance.now() - before) / 1000);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Seconds to quantize `rows` rows. */
async function measure(kernels: Kernels, rows: number, bits: Bits): Promise<number> {
  const values = Float32Array.from({ length: rows * COLUMNS }, (_, i) => noise(1)(i));
  const bytes = encodeFloats(values, "BF16");
  const tile = {
    dtype: "BF16" as const,
    rows,
    columns: COLUMNS,
    blockRows: rows,
    blockColumns: COLUMNS,
  };
  kernels.input(bytes.length).set(bytes);
  return await seconds(async () => {
    const input = kernels.input(bytes.length);
    const { lo, hi } = await kernels.range(input, tile);
    const scheme = { bits, scaleDtype: "BF16" as const, symmetric: false };
    await kernels.encode(input, tile, bits, estimateLayerParams(lo, hi, 1, scheme), true);
  });
}

function print(name: string, bits: Bits, speed: number): void {
  const line = `${name.padEnd(34)} INT${bits} ${
    (speed / 1e6).toFixed(0).padStart(6)
  } M weights/s\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

for (const bits of [2, 4, 8] as const) {
  const rows = 64; // 256 KiB: in a core's cache
  print("reference", bits, (rows * COLUMNS) / await measure(createReferenceKernels(), rows, bits));
  print(
    "wasm, one thread",
    bits,
    (rows * COLUMNS) / await measure(createWasmKernels(), rows, bits),
  );
}

const probe = await probeWebGpu();
if (probe !== null) {
  const device = await openDevice(probe);
  for (const form of new Set([formFor(probe), "together" as const])) {
    const kernels = createDeviceKernels(device, form);
    for (const bits of [2, 4, 8] as const) {
      // A call takes ten milliseconds, however little it does: the kernel's own time is the difference.
      const rows = 4096;
      const own = await measure(kernels, rows, bits) - await measure(kernels, 1, bits);
      print(`webgpu, ${form}, without the wait`, bits, (rows * COLUMNS) / own);
    }
    kernels.close();
  }
  device.destroy();
}
