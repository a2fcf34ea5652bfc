/**
 * Runs jobs on this thread: reads a slice tile by tile, hands the tiles to kernels and writes packed
 * rows. Shared by the backends that compute here and in workers.
 */

import { estimateLayerParams, MAX_RANGE } from "../estimate_params.ts";
import { packedBytes } from "../pack_codes.ts";
import { planTiles, type TilePlan } from "../plan_tiles.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import { type ByteSource, openSource } from "../safetensors/read.ts";
import { type ByteSink, openSink } from "../safetensors/write.ts";
import type { QualitySums } from "../types.ts";
import type { CopyJob, FilePlace, OnBytes, QuantizedSlice, Slice, SliceTarget } from "./backend.ts";
import {
  type BlockParams,
  type BlockRanges,
  type Kernels,
  SUMS_PER_BLOCK,
  type Tile,
} from "./kernels.ts";

/** Bytes of a slice kept in memory between measuring and encoding it; a larger one is read twice. */
export const SLICE_BYTES = 16 * 2 ** 20;

/** Bytes copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Jobs, one at a time, on this thread. */
export interface SliceRunner {
  /** See {@linkcode Backend.measure}. */
  measure(slice: Slice): Promise<BlockRanges>;
  /** See {@linkcode Backend.encode}. */
  encode(slice: Slice & SliceTarget, params: BlockParams): Promise<QualitySums>;
  /** See {@linkcode Backend.quantize}. */
  quantize(slice: Slice & SliceTarget): Promise<QuantizedSlice>;
  /** See {@linkcode Backend.copy}. */
  copy(job: CopyJob): Promise<void>;
  /** Closes the files. */
  close(): void;
}

/** Makes a runner. */
export function createRunner(kernels: Kernels, onBytes: OnBytes): SliceRunner {
  const sources = new Map<string, ByteSource>();
  const sinks = new Map<string, ByteSink>();

  function sourceOf({ path, label }: FilePlace): ByteSource {
    const source = sources.get(path) ?? openSource(path, label);
    sources.set(path, source);
    return source;
  }

  function sinkOf({ path, label }: FilePlace): ByteSink {
    const sink = sinks.get(path) ?? openSink(path, label);
    sinks.set(path, sink);
    return sink;
  }

  /**
   * A tile's bytes: read from the file unless they are held already. The whole slice has its place in
   * the buffer if it is small enough; else each tile takes the place of the one before.
   */
  function tileBytes(slice: Slice, plan: TilePlan, isHeld: boolean): Uint8Array {
    const width = floatBytes(slice.dtype);
    const offset = (plan.row * slice.columns + plan.column) * width;
    const length = plan.rows * plan.columns * width;
    const fits = sliceBytes(slice) <= SLICE_BYTES;
    // Asked for anew for each tile: kernels may move their memory, keeping its content.
    const buffer = kernels.input(fits ? sliceBytes(slice) : length);
    const bytes = fits ? buffer.subarray(offset, offset + length) : buffer;
    if (!isHeld) sourceOf(slice.source).readInto(slice.source.begin + offset, bytes);
    return bytes;
  }

  async function measure(slice: Slice): Promise<BlockRanges> {
    const blocks = slice.columns / slice.blockColumns;
    const lo = new Float32Array(blocks);
    const hi = new Float32Array(blocks);
    for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
      const bytes = tileBytes(slice, plan, false);
      const found = await kernels.range(bytes, tile);
      const first = Math.floor(plan.column / slice.blockColumns);
      for (let i = 0; i < found.lo.length; i++) {
        // Math.min and Math.max keep a NaN.
        lo[first + i] = Math.min(lo[first + i]!, found.lo[i]!);
        hi[first + i] = Math.max(hi[first + i]!, found.hi[i]!);
      }
      await onBytes(bytes.length / 2);
    }
    return { lo, hi };
  }

  async function encode(
    slice: Slice & SliceTarget,
    params: BlockParams,
    isHeld: boolean,
  ): Promise<QualitySums> {
    const total = { signal: 0, decoded: 0, error: 0 };
    const { bits, target, columns, blockColumns } = slice;
    const rowBytes = packedBytes(columns, bits);
    const sink = sinkOf(target);
    for (const [plan, tile] of tilesOf(slice, kernels.tileBytes)) {
      const bytes = tileBytes(slice, plan, isHeld);
      const first = Math.floor(plan.column / blockColumns);
      const last = first + Math.ceil(tile.columns / tile.blockColumns);
      const part = {
        scale: params.scale.subarray(first, last),
        zero_point: params.zero_point.subarray(first, last),
      };
      const { packed, sums } = await kernels.encode(bytes, tile, bits, part, isHeld);
      sink.write(target.begin + plan.row * rowBytes + (plan.column * bits) / 8, packed);
      for (let i = 0; i < sums.length; i += SUMS_PER_BLOCK) {
        total.signal += sums[i]!;
        total.decoded += sums[i + 1]!;
        total.error += sums[i + 2]!;
      }
      await onBytes((plan.rows * plan.columns * floatBytes(slice.dtype)) / 2);
    }
    return total;
  }

  return {
    measure,
    encode: (slice, params) => encode(slice, params, false),
    async quantize(slice) {
      const ranges = await measure(slice);
      const params = paramsOf(slice, ranges);
      const isHeld = sliceBytes(slice) <= SLICE_BYTES;
      return { ...ranges, sums: params && await encode(slice, params, isHeld) };
    },
    async copy({ source, target, byteLength }) {
      const buffer = new Uint8Array(Math.min(COPY_BYTES, byteLength));
      const from = sourceOf(source);
      const to = sinkOf(target);
      for (let done = 0; done < byteLength; done += buffer.length) {
        const bytes = buffer.subarray(0, Math.min(buffer.length, byteLength - done));
        from.readInto(source.begin + done, bytes);
        to.write(target.begin + done, bytes);
        await onBytes(bytes.length);
      }
    },
    close() {
      for (const file of [...sources.values(), ...sinks.values()]) file.close();
      sources.clear();
      sinks.clear();
    },
  };
}

/** Bytes of a slice's weights. */
function sliceBytes(slice: Slice): number {
  return slice.rows * slice.columns * floatBytes(slice.dtype);
}

/** The tiles of a slice, and how each is cut into blocks that span all its rows. */
function* tilesOf(slice: Slice, tileBytes: number): Generator<[TilePlan, Tile]> {
  const { rows, columns, blockColumns, dtype } = slice;
  const most = tileBytes / floatBytes(dtype);
  for (const plan of planTiles(0, rows, columns, blockColumns, most)) {
    yield [plan, {
      dtype,
      rows: plan.rows,
      columns: plan.columns,
      blockRows: plan.rows,
      blockColumns: Math.min(blockColumns, plan.columns),
    }];
  }
}

/**
 * The parameters of a slice by its own range, if that is enough: an all-zero block takes its
 * neighbour's, and a range beyond bounds is refused.
 */
function paramsOf(slice: Slice & SliceTarget, { lo, hi }: BlockRanges): BlockParams | undefined {
  for (let i = 0; i < lo.length; i++) {
    const width = hi[i]! - lo[i]!;
    if (!(width > 0 && width <= MAX_RANGE)) return undefined;
  }
  return estimateLayerParams(lo, hi, lo.length, slice.bits, slice.dtype);
}
