/**
 * Weights a second through the kernels of each backend, range and encode, BF16 to INT4 in blocks of a slice; and
 * nanoseconds a weight that error compensation takes, and its plan.
 */

import { estimateLayerParams } from "../lib/params/estimate_params.ts";
import type { Kernels } from "../lib/compute/kernels.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { formFor, openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { encodeFloats } from "../lib/safetensors/dtype.ts";
import type { Bits } from "../lib/types.ts";
import { planCompensation } from "../lib/params/plan_compensation.ts";
import { makeMoments } from "../tests/gptq.ts";
import { noise } from "../tests/make_model.ts";

const COLUMNS = 2048;

/** Columns of the layer whose errors are compensated, and ranks of its inputs. */
const COMPENSATED_COLUMNS = 4096;
const RANKS = [16, 32, 64];

/** Columns of the widest layer known, to plan for. */
const WIDEST = 18944;

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

/** Seconds to compensate the errors of `rows` rows, BF16 to INT4 in blocks of a row. */
async function measureCompensation(kernels: Kernels, rows: number, rank: number): Promise<number> {
  const columns = COMPENSATED_COLUMNS;
  const values = Float32Array.from({ length: rows * columns }, (_, i) => noise(1)(i));
  const bytes = encodeFloats(values, "BF16");
  const tile = { dtype: "BF16" as const, rows, columns, blockRows: 1, blockColumns: columns };
  const params = {
    scale: new Float32Array(rows).fill(2 / 15),
    zero_point: new Uint8Array(rows).fill(7),
  };
  const inputs = planCompensation(makeMoments(columns, rank, 2));
  return await seconds(() => kernels.compensate(bytes, tile, 4, params, inputs));
}

function write(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function print(name: string, bits: Bits, speed: number): void {
  write(`${name.padEnd(34)} INT${bits} ${(speed / 1e6).toFixed(0).padStart(6)} M weights/s`);
}

function printCompensation(name: string, rank: number, time: number): void {
  write(`${name.padEnd(34)} rank ${rank} ${(time * 1e9).toFixed(1).padStart(6)} ns a weight`);
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

for (const rank of RANKS) {
  const rows = 64;
  const time = await measureCompensation(createWasmKernels(), rows, rank);
  printCompensation("compensation, wasm, one thread", rank, time / rows / COMPENSATED_COLUMNS);
}
for (const rank of RANKS) {
  const moments = makeMoments(WIDEST, rank, 3);
  const time = await seconds(() => planCompensation(moments));
  write(`plan of ${WIDEST} columns`.padEnd(34) + ` rank ${rank} ${time.toFixed(2).padStart(6)} s`);
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
    // As many rows as a tile has.
    const rows = Math.floor(kernels.tileBytes / 2 / COMPENSATED_COLUMNS);
    for (const rank of form === "together" && !probe.isSoftware ? RANKS : []) {
      const time = await measureCompensation(kernels, rows, rank);
      printCompensation("compensation, webgpu", rank, time / rows / COMPENSATED_COLUMNS);
    }
    kernels.close();
  }
  device.destroy();
}
