/** Every backend, and files with a slice for them to work on. */

import { join } from "node:path";
import type { Backend } from "../lib/jobs/backend.ts";
import type { CodesTarget } from "../lib/jobs/encode_slice.ts";
import type { Bands, Slice } from "../lib/jobs/slice.ts";
import type { BackendName, Bits, FilePlace, Scheme } from "../lib/types.ts";
import { createInline } from "../lib/jobs/inline.ts";
import type { Kernels } from "../lib/compute/kernels.ts";
import { openBackend } from "../lib/jobs/open_backend.ts";
import { createReferenceKernels } from "../lib/compute/reference_kernels.ts";
import { createWasmKernels } from "../lib/compute/wasm_kernels.ts";
import { openDevice, probeWebGpu } from "../lib/jobs/webgpu.ts";
import { createDeviceKernels } from "../lib/compute/webgpu_kernels.ts";
import { createPool } from "../lib/jobs/worker_pool.ts";
import { packedBytes } from "../lib/compute/pack_codes.ts";
import {
  encodeFloats,
  floatBytes,
  type FloatDtype,
  roundToDtype,
} from "../lib/safetensors/dtype.ts";
import type { LayerJob } from "../lib/layer/slice_layer.ts";
import type { LayerPlan } from "../lib/plan/plan_layer.ts";
import { noise, withFiles } from "./make_model.ts";

/** Hooks that do nothing. */
export const silent = { onBytes: () => {} };

/** Each backend, opened as a run would; without an adapter the last one fails. */
export const OPEN: Record<string, () => Promise<Backend>> = {
  "the reference": () => openBackend("reference", { work: 0 }, silent),
  "wasm on this thread": () => openBackend("wasm", { work: 0 }, silent),
  "wasm in workers": () => Promise.resolve(createPool(2, silent.onBytes)),
  "webgpu": () => openBackend("webgpu", { work: 0 }, silent),
};

/** What a slice looks like. */
export interface SliceShape {
  rows: number;
  columns: number;
  /** All columns unless given. */
  blockColumns?: number;
  /** BF16 unless given. */
  dtype?: FloatDtype;
  /** 4 unless given. */
  bits?: Bits;
  /** Noise unless given; rounded to the dtype. */
  value?: (index: number) => number;
}

/** A slice, and where its codes go. */
export interface TestSlice extends Slice, CodesTarget {}

/** What a job on a slice, as one band, holds besides its verb; scales are stored in the dtype of the weights. */
export function jobOf(slice: TestSlice): CodesTarget & Scheme & Bands {
  const { bits, packing, target, row, rows, dtype } = slice;
  const bands = [0, rows];
  return { slice, bands, bits, packing, target, row, scaleDtype: dtype, symmetric: false };
}

/** The layer that a slice is all of, by slices. */
export function layerJobOf(
  { rows, columns, blockColumns, dtype, source, target, bits }: TestSlice,
  bands: number[],
): LayerJob {
  const end = source.begin + rows * columns * floatBytes(dtype);
  const layer: LayerPlan = {
    name: "a",
    tensor: { name: "a.weight", dtype, shape: [rows, columns], begin: source.begin, end },
    shard: "in",
    ...{ dtype, bits, scaleDtype: dtype, symmetric: false, rows, columns },
    grid: { bands, blockColumns, groupSize: blockColumns, fallback: false },
    axis: { source: "positional", boundaries: bands },
  };
  return { layer, source, target, packing: "words" };
}

/** A slice at some offset of a file, and the place of its codes in another one. */
export async function withSlice(
  shape: SliceShape,
  use: (slice: TestSlice, read: () => Uint8Array) => Promise<void>,
): Promise<void> {
  const { rows, columns, blockColumns = columns, dtype = "BF16", bits = 4 } = shape;
  const { value = noise(21) } = shape;
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => roundToDtype(value(i), dtype),
  );
  const weights = encodeFloats(values, dtype);
  const file = new Uint8Array(weights.length + 10);
  file.set(weights, 10);
  await withFiles({ "in": file }, async (directory) => {
    const place = (name: string, begin: number): FilePlace => ({
      path: join(directory, name),
      label: name,
      begin,
    });
    const outBytes = rows * packedBytes(columns, bits);
    Deno.writeFileSync(join(directory, "out"), new Uint8Array(outBytes + 7));
    const slice: TestSlice = {
      source: place("in", 10),
      target: place("out", 7),
      dtype,
      rows,
      columns,
      blockRows: rows,
      blockColumns,
      bits,
      packing: "words",
      row: 0,
    };
    await use(slice, () => Deno.readFileSync(join(directory, "out")));
  });
}

/** Backends on this thread whose tiles have at most so many bytes. */
export async function openSmallTiles(
  tileBytes: number,
): Promise<Record<string, () => Promise<Backend>>> {
  const device = await openDevice((await probeWebGpu())!);
  const kernels: Record<string, [BackendName, Kernels]> = {
    "the reference": ["reference", createReferenceKernels()],
    "wasm": ["wasm", createWasmKernels()],
    "webgpu, one invocation a piece": ["webgpu", createDeviceKernels(device, "solo")],
    "webgpu, one workgroup a piece": ["webgpu", createDeviceKernels(device, "together")],
  };
  return Object.fromEntries(
    Object.entries(kernels).map(([name, [backend, whole]]) => [
      name,
      () => Promise.resolve(createInline(backend, "", { ...whole, tileBytes }, silent.onBytes)),
    ]),
  );
}
