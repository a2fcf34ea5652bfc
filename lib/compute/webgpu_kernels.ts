/** The WebGPU kernels: buffers, dispatches and read-back of one lane of a device. */

import { packedBytes } from "./pack_codes.ts";
import { BINS, type Bits } from "../types.ts";
import { floatBytes, type FloatDtype } from "../safetensors/dtype.ts";
import {
  blockCount,
  type BlockParams,
  type BlockRanges,
  type BlockRun,
  DeviceError,
  type EncodedTile,
  type Kernels,
  type Tile,
} from "./kernels.ts";
import {
  type Form,
  GROUP,
  type Kernel,
  type Layout,
  layOut,
  layOutParams,
  layOutRun,
  PARAM_FLOATS,
} from "./lay_out_tile.ts";
import { growing } from "./growing_buffer.ts";
import encodeSource from "./kernels/encode.wgsl" with { type: "text" };
import histogramSource from "./kernels/histogram.wgsl" with { type: "text" };
import rangeSource from "./kernels/range.wgsl" with { type: "text" };
import { readRanges } from "./read_ranges.ts";
import { compensateOnProcessor, searchOnProcessor } from "./on_processor.ts";
import { reduceRanges, reduceSums, SUMS_PER_PIECE } from "./reduce_pieces.ts";

/** A whole slice at a time: each answer of a device takes ten milliseconds, however little was asked. */
const TILE_BYTES = 16 * 2 ** 20;

/** Values of the shaders' `KIND`. */
const KIND: Record<FloatDtype, number> = { BF16: 0, F16: 1, F32: 2 };

/** Bytes of the shaders' `Shape`, padded. */
const SHAPE_BYTES = 48;

/** Bytes of a histogram: a multiple of what every device wants bindings to begin at. */
const HISTOGRAM_BYTES = 4 * BINS;

/** Kernels on a device, and the end of their buffers. */
export interface DeviceKernels extends Kernels {
  /** Releases the buffers. */
  close(): void;
}

/**
 * Makes the kernels of one lane: calls on a lane follow one another; two lanes overlap.
 *
 * @param device Its loss makes every later call fail with a `DeviceError`.
 * @param most The form used where blocks are wide enough for it.
 */
export function createDeviceKernels(device: GPUDevice, most: Form): DeviceKernels {
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ, UNIFORM } = GPUBufferUsage;
  const inputBuffer = growing(device, STORAGE | COPY_DST, "weights");
  const paramBuffer = growing(device, STORAGE | COPY_DST, "params");
  const outBuffer = growing(device, STORAGE | COPY_SRC, "packed");
  const sumBuffer = growing(device, STORAGE | COPY_SRC, "sums");
  const countBuffer = growing(device, STORAGE | COPY_DST | COPY_SRC, "counts");
  const readBuffer = growing(device, MAP_READ | COPY_DST, "read-back");
  const shapeBuffer = device.createBuffer({
    label: "shape",
    size: SHAPE_BYTES,
    usage: UNIFORM | COPY_DST,
  });
  const pipelines = new Map<string, GPUComputePipeline>();
  const modules = {
    range: device.createShaderModule({ label: "range", code: rangeSource }),
    encode: device.createShaderModule({ label: "encode", code: encodeSource }),
    histogram: device.createShaderModule({ label: "histogram", code: histogramSource }),
  };
  let staging = new Uint8Array(0);
  let host = new Uint8Array(0);

  function pipelineOf(
    kernel: Kernel,
    form: Form,
    constants: Record<string, number>,
  ): GPUComputePipeline {
    const key = `${kernel} ${form} ${JSON.stringify(constants)}`;
    const known = pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline = device.createComputePipeline({
      label: key,
      layout: "auto",
      compute: { module: modules[kernel], entryPoint: form, constants: { ...constants, GROUP } },
    });
    pipelines.set(key, pipeline);
    return pipeline;
  }

  function input(byteLength: number): Uint8Array<ArrayBuffer> {
    const size = Math.ceil(byteLength / 4) * 4;
    if (staging.length < size) {
      const larger = new Uint8Array(size);
      larger.set(staging);
      staging = larger;
    }
    return staging.subarray(0, byteLength);
  }

  /** Puts a tile on the device, if it is not there, and gives the index of its first weight. */
  function upload(bytes: Uint8Array, tile: Tile, isHeld: boolean): number {
    let offset = bytes.byteOffset;
    if (bytes.buffer !== staging.buffer) {
      input(bytes.length).set(bytes);
      offset = 0;
    }
    const before = inputBuffer.atLeast(4);
    const buffer = inputBuffer.atLeast(staging.length);
    if (!isHeld || buffer !== before) {
      // Copies go by whole words; the bytes around a tile are its neighbours', which are there already.
      const first = Math.floor(offset / 4) * 4;
      const end = Math.ceil((offset + bytes.length) / 4) * 4;
      device.queue.writeBuffer(buffer, first, staging, first, end - first);
    }
    return offset / floatBytes(tile.dtype);
  }

  function writeShape(base: number, layout: Layout): void {
    const { rows, columns, blockRows, blockColumns, across, pieces, piece, rowWords } = layout;
    const words = [base, rows, columns, blockRows, blockColumns, across, pieces, piece, rowWords];
    device.queue.writeBuffer(shapeBuffer, 0, Uint32Array.from(words));
  }

  /** Has a kernel run, with its buffers from binding 0 on. */
  function dispatch(
    encoder: GPUCommandEncoder,
    pipeline: GPUComputePipeline,
    layout: Layout,
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
    const groups = layout.form === "solo" ? Math.ceil(layout.units / GROUP) : layout.units;
    const across = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    pass.dispatchWorkgroups(across, Math.ceil(groups / across));
    pass.end();
  }

  /** Has results copied for reading back, one behind the other; gives their size in bytes. */
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

  /**
   * Hands work to the device and reads its results back; errors of the device become one kind.
   *
   * @param record Creates buffers and records, all without waiting: the error scopes are the device's,
   *   so they have to be closed before another lane has its turn. Gives the bytes to read back.
   */
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

  async function range(bytes: Uint8Array, tile: Tile): Promise<BlockRanges> {
    const layout = layOut(tile, "range", 8, most);
    const size = layout.units * 8;
    const read = await onDevice((encoder) => {
      writeShape(upload(bytes, tile, false), layout);
      const found = outBuffer.atLeast(size);
      const pipeline = pipelineOf("range", layout.form, { WIDE: tile.dtype === "F32" ? 1 : 0 });
      dispatch(encoder, pipeline, layout, [
        { buffer: inputBuffer.atLeast(4) },
        { buffer: shapeBuffer },
        { buffer: found },
      ]);
      return copyBack(encoder, [{ buffer: found, size }]);
    });
    const found = reduceRanges(new Int32Array(read, 0, size / 4), layout, tile);
    const blocks = blockCount(tile);
    return readRanges(found, tile.dtype, {
      lo: new Float32Array(blocks),
      hi: new Float32Array(blocks),
    });
  }

  async function encode(
    bytes: Uint8Array,
    tile: Tile,
    bits: Bits,
    params: BlockParams,
    isHeld = false,
  ): Promise<EncodedTile> {
    const layout = layOut(tile, "encode", bits, most);
    const blocks = blockCount(tile);
    const outBytes = tile.rows * packedBytes(tile.columns, bits);
    const sumBytes = layout.units * SUMS_PER_PIECE * 4;
    const read = await onDevice((encoder) => {
      writeShape(upload(bytes, tile, isHeld), layout);
      const paramsOnDevice = paramBuffer.atLeast(blocks * PARAM_FLOATS * 4);
      device.queue.writeBuffer(paramsOnDevice, 0, layOutParams(params, blocks));
      const out = outBuffer.atLeast(outBytes);
      const sums = sumBuffer.atLeast(sumBytes);
      const pipeline = pipelineOf("encode", layout.form, { KIND: KIND[tile.dtype], BITS: bits });
      dispatch(encoder, pipeline, layout, [
        { buffer: inputBuffer.atLeast(4) },
        { buffer: shapeBuffer },
        { buffer: paramsOnDevice },
        { buffer: out },
        { buffer: sums },
      ]);
      return copyBack(encoder, [{ buffer: out, size: outBytes }, { buffer: sums, size: sumBytes }]);
    });
    return {
      packed: new Uint8Array(read, 0, outBytes),
      sums: reduceSums(new Float32Array(read, outBytes, sumBytes / 4), layout, params),
    };
  }

  async function clearCounts(histograms: number): Promise<void> {
    await onDevice((encoder) => {
      const size = histograms * HISTOGRAM_BYTES;
      encoder.clearBuffer(countBuffer.atLeast(size), 0, size);
      return 0;
    });
  }

  async function count(
    bytes: Uint8Array,
    tile: Tile,
    run: BlockRun,
    isHeld = false,
  ): Promise<void> {
    const layout = layOutRun(tile, run, most);
    await onDevice((encoder) => {
      const first = upload(bytes, tile, isHeld) + run.first * tile.blockColumns;
      writeShape(first, layout);
      const wide = tile.dtype === "F32" ? 1 : 0;
      dispatch(encoder, pipelineOf("histogram", layout.form, { WIDE: wide }), layout, [
        { buffer: inputBuffer.atLeast(4) },
        { buffer: shapeBuffer },
        {
          buffer: countBuffer.atLeast(HISTOGRAM_BYTES),
          offset: run.histogram * HISTOGRAM_BYTES,
          size: run.count * HISTOGRAM_BYTES,
        },
      ]);
      // A tile that had to be sent is waited for, so that no more than one is on its way.
      const buffer = countBuffer.atLeast(HISTOGRAM_BYTES);
      return isHeld ? 0 : copyBack(encoder, [{ buffer, size: 4 }]);
    });
  }

  async function readCounts(histograms: number): Promise<Uint32Array> {
    const size = histograms * HISTOGRAM_BYTES;
    const read = await onDevice((encoder) =>
      copyBack(encoder, [{ buffer: countBuffer.atLeast(size), size }])
    );
    return new Uint32Array(read, 0, histograms * BINS);
  }

  return {
    tileBytes: Math.min(TILE_BYTES, device.limits.maxStorageBufferBindingSize),
    input,
    range,
    search: searchOnProcessor,
    compensate: compensateOnProcessor,
    encode,
    clearCounts,
    count,
    readCounts,
    close() {
      const buffers = [inputBuffer, paramBuffer, outBuffer, sumBuffer, countBuffer, readBuffer];
      for (const buffer of buffers) buffer.destroy();
      shapeBuffer.destroy();
    },
  };
}
