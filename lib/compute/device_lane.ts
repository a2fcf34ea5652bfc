/** One lane of a device: its buffers, dispatches and read-back, for whatever kernels run on it. */

import { floatBytes, type FloatDtype } from "../safetensors/dtype.ts";
import { growing, type GrowingBuffer } from "./growing_buffer.ts";
import { DeviceError } from "./kernels.ts";
import { GROUP } from "./lay_out_tile.ts";

/** How buffers are used; those for a state are set to 0, worked on by several dispatches, and read back. */
export type BufferUse = "input" | "output" | "state" | "uniform";

/** A lane: calls on it follow one another; two lanes of a device overlap. */
export interface Lane {
  /** Its loss makes every later call fail with a `DeviceError`. */
  readonly device: GPUDevice;
  /** See {@linkcode Kernels.input}. */
  input(byteLength: number): Uint8Array<ArrayBuffer>;
  /**
   * Puts a tile on the device, if it is not there, and gives the index of its first weight.
   *
   * @param isHeld Whether `bytes` are unchanged since they were put there.
   */
  upload(bytes: Uint8Array, dtype: FloatDtype, isHeld: boolean): number;
  /** The buffer that tiles are put in. */
  weights(): GPUBuffer;
  /** Declares a buffer of the lane's. */
  buffer(use: BufferUse, label: string): GrowingBuffer;
  /** Has a shader compiled. */
  module(label: string, code: string): GPUShaderModule;
  /** The pipeline of an entry point; made when it is first asked for. `GROUP` need not be given. */
  pipelineOf(
    module: GPUShaderModule,
    entryPoint: string,
    constants: Record<string, number>,
  ): GPUComputePipeline;
  /** Has a kernel run in so many workgroups, with its buffers from binding 0 on. */
  dispatch(
    encoder: GPUCommandEncoder,
    pipeline: GPUComputePipeline,
    groups: number,
    bindings: GPUBufferBinding[],
  ): void;
  /** Has results copied for reading back, one behind the other; gives their size in bytes. */
  copyBack(encoder: GPUCommandEncoder, results: { buffer: GPUBuffer; size: number }[]): number;
  /**
   * Hands work to the device and reads its results back; errors of the device become one kind.
   *
   * @param record Creates buffers and records, all without waiting: the error scopes are the device's,
   *   so they have to be closed before another lane has its turn. Gives the bytes to read back.
   */
  onDevice(record: (encoder: GPUCommandEncoder) => number): Promise<ArrayBuffer>;
  /** Releases the buffers. */
  close(): void;
}

/** Opens a lane. */
export function openLane(device: GPUDevice): Lane {
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ, UNIFORM } = GPUBufferUsage;
  const usages: Record<BufferUse, number> = {
    input: STORAGE | COPY_DST,
    output: STORAGE | COPY_SRC,
    state: STORAGE | COPY_DST | COPY_SRC,
    uniform: UNIFORM | COPY_DST,
  };
  const weightBuffer = growing(device, usages.input, "weights");
  const readBuffer = growing(device, MAP_READ | COPY_DST, "read-back");
  const buffers = [weightBuffer, readBuffer];
  const pipelines = new Map<string, GPUComputePipeline>();
  let staging = new Uint8Array(0);
  let host = new Uint8Array(0);

  function input(byteLength: number): Uint8Array<ArrayBuffer> {
    const size = Math.ceil(byteLength / 4) * 4;
    if (staging.length < size) {
      const larger = new Uint8Array(size);
      larger.set(staging);
      staging = larger;
    }
    return staging.subarray(0, byteLength);
  }

  function upload(bytes: Uint8Array, dtype: FloatDtype, isHeld: boolean): number {
    let offset = bytes.byteOffset;
    if (bytes.buffer !== staging.buffer) {
      input(bytes.length).set(bytes);
      offset = 0;
    }
    const before = weightBuffer.atLeast(4);
    const buffer = weightBuffer.atLeast(staging.length);
    if (!isHeld || buffer !== before) {
      // Copies go by whole words; the bytes around a tile are its neighbours', which are there already.
      const first = Math.floor(offset / 4) * 4;
      const end = Math.ceil((offset + bytes.length) / 4) * 4;
      device.queue.writeBuffer(buffer, first, staging, first, end - first);
    }
    return offset / floatBytes(dtype);
  }

  function pipelineOf(
    module: GPUShaderModule,
    entryPoint: string,
    constants: Record<string, number>,
  ): GPUComputePipeline {
    const key = `${module.label} ${entryPoint} ${JSON.stringify(constants)}`;
    const known = pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline = device.createComputePipeline({
      label: key,
      layout: "auto",
      compute: { module, entryPoint, constants: { GROUP, ...constants } },
    });
    pipelines.set(key, pipeline);
    return pipeline;
  }

  function dispatch(
    encoder: GPUCommandEncoder,
    pipeline: GPUComputePipeline,
    groups: number,
    bindings: GPUBufferBinding[],
  ): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: bindings.map((resource, binding) => ({ binding, resource })),
      }),
    );
    const across = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    pass.dispatchWorkgroups(across, Math.ceil(groups / across));
    pass.end();
  }

  function copyBack(
    encoder: GPUCommandEncoder,
    results: { buffer: GPUBuffer; size: number }[],
  ): number {
    const size = results.reduce((sum, result) => sum + result.size, 0);
    const read = readBuffer.atLeast(size);
    let at = 0;
    for (const result of results) {
      encoder.copyBufferToBuffer(result.buffer, 0, read, at, result.size);
      at += result.size;
    }
    return size;
  }

  async function onDevice(record: (encoder: GPUCommandEncoder) => number): Promise<ArrayBuffer> {
    try {
      device.pushErrorScope("out-of-memory");
      device.pushErrorScope("validation");
      let size: number;
      let scopes: Promise<GPUError | null>[];
      try {
        const encoder = device.createCommandEncoder();
        size = record(encoder);
        device.queue.submit([encoder.finish()]);
      } finally {
        scopes = [device.popErrorScope(), device.popErrorScope()];
      }
      for (const error of await Promise.all(scopes)) {
        if (error !== null) throw error;
      }
      if (size === 0) return host.buffer;
      const read = readBuffer.atLeast(size);
      await read.mapAsync(GPUMapMode.READ, 0, size);
      if (host.length < size) host = new Uint8Array(size);
      host.set(new Uint8Array(read.getMappedRange(0, size)));
      read.unmap();
      return host.buffer;
    } catch (error) {
      throw new DeviceError((error as Error | GPUError).message);
    }
  }

  return {
    device,
    input,
    upload,
    weights: () => weightBuffer.atLeast(4),
    buffer(use, label) {
      const buffer = growing(device, usages[use], label);
      buffers.push(buffer);
      return buffer;
    },
    module: (label, code) => device.createShaderModule({ label, code }),
    pipelineOf,
    dispatch,
    copyBack,
    onDevice,
    close() {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}
