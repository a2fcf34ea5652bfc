/** The WebGPU kernels of one lane of a device. */

import { packedBytes } from "./pack_codes.ts";
import { BINS, type Bits } from "../types.ts";
import {
  blockCount,
  type BlockParams,
  type BlockRanges,
  type BlockRun,
  type EncodedTile,
  type Kernels,
  KIND,
  type Tile,
} from "./kernels.ts";
import {
  type Form,
  GROUP,
  type Layout,
  layOut,
  layOutParams,
  layOutRun,
  PARAM_FLOATS,
} from "./lay_out_tile.ts";
import { openLane } from "./device_lane.ts";
import encodeSource from "./kernels/encode.wgsl" with { type: "text" };
import histogramSource from "./kernels/histogram.wgsl" with { type: "text" };
import loadSource from "./kernels/load_weight.wgsl" with { type: "text" };
import rangeSource from "./kernels/range.wgsl" with { type: "text" };
import { readRanges } from "./read_ranges.ts";
import { compensateOnProcessor, searchOnProcessor } from "./on_processor.ts";
import { reduceRanges, reduceSums, SUMS_PER_PIECE } from "./reduce_pieces.ts";
import { createDeviceCompensator, type DeviceCompensator } from "./webgpu_compensation.ts";

/** A whole slice at a time: each answer of a device takes ten milliseconds, however little was asked. */
const TILE_BYTES = 16 * 2 ** 20;

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
 * @param most The form used where blocks are wide enough for it. With `solo`, for software adapters, errors are
 *   compensated on the processor itself, which is ten times as fast.
 */
export function createDeviceKernels(device: GPUDevice, most: Form): DeviceKernels {
  const lane = openLane(device);
  const { onDevice, upload, weights, copyBack, pipelineOf } = lane;
  const paramBuffer = lane.buffer("input", "params");
  const outBuffer = lane.buffer("output", "packed");
  const sumBuffer = lane.buffer("output", "sums");
  const countBuffer = lane.buffer("state", "counts");
  const shapeBuffer = lane.buffer("uniform", "shape");
  const rangeModule = lane.module("range", rangeSource);
  const encodeModule = lane.module("encode", loadSource + encodeSource);
  const histogramModule = lane.module("histogram", histogramSource);
  /** Made when it is needed: few runs need it. */
  let compensator: DeviceCompensator | undefined;

  /** The shape of a dispatch, and where its weights begin. */
  function shapeOf(base: number, layout: Layout): { buffer: GPUBuffer } {
    const { rows, columns, blockRows, blockColumns, across, pieces, piece, rowWords } = layout;
    const words = [base, rows, columns, blockRows, blockColumns, across, pieces, piece, rowWords];
    const buffer = shapeBuffer.atLeast(SHAPE_BYTES);
    device.queue.writeBuffer(buffer, 0, Uint32Array.from(words));
    return { buffer };
  }

  /** Has a kernel run, with its buffers from binding 0 on. */
  function dispatch(
    encoder: GPUCommandEncoder,
    pipeline: GPUComputePipeline,
    { form, units }: Layout,
    bindings: GPUBufferBinding[],
  ): void {
    const groups = form === "solo" ? Math.ceil(units / GROUP) : units;
    lane.dispatch(encoder, pipeline, groups, bindings);
  }

  async function range(bytes: Uint8Array, tile: Tile): Promise<BlockRanges> {
    const layout = layOut(tile, "range", 8, most);
    const size = layout.units * 8;
    const read = await onDevice((encoder) => {
      const shape = shapeOf(upload(bytes, tile.dtype, false), layout);
      const found = outBuffer.atLeast(size);
      const pipeline = pipelineOf(rangeModule, layout.form, { WIDE: tile.dtype === "F32" ? 1 : 0 });
      dispatch(encoder, pipeline, layout, [
        { buffer: weights() },
        shape,
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
      const shape = shapeOf(upload(bytes, tile.dtype, isHeld), layout);
      const paramsOnDevice = paramBuffer.atLeast(blocks * PARAM_FLOATS * 4);
      device.queue.writeBuffer(paramsOnDevice, 0, layOutParams(params, blocks));
      const out = outBuffer.atLeast(outBytes);
      const sums = sumBuffer.atLeast(sumBytes);
      const pipeline = pipelineOf(encodeModule, layout.form, {
        KIND: KIND[tile.dtype],
        BITS: bits,
      });
      dispatch(encoder, pipeline, layout, [
        { buffer: weights() },
        shape,
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
      const first = upload(bytes, tile.dtype, isHeld) + run.first * tile.blockColumns;
      const shape = shapeOf(first, layout);
      const wide = tile.dtype === "F32" ? 1 : 0;
      dispatch(encoder, pipelineOf(histogramModule, layout.form, { WIDE: wide }), layout, [
        { buffer: weights() },
        shape,
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
    input: lane.input,
    range,
    search: searchOnProcessor,
    compensate: most === "solo" ? compensateOnProcessor : (...args) => {
      compensator ??= createDeviceCompensator(lane);
      return compensator(...args);
    },
    encode,
    clearCounts,
    count,
    readCounts,
    close: lane.close,
  };
}
