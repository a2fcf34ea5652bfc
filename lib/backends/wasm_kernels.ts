/** The SIMD WebAssembly kernels: lays their memory out, and turns bits and step units into ranges and sums. */

import { packedBytes } from "../pack_codes.ts";
import type { FloatDtype } from "../safetensors/dtype.ts";
import type { Bits } from "../types.ts";
import {
  blockCount,
  type BlockParams,
  type BlockRanges,
  blocksAcross,
  type EncodedTile,
  type Kernels,
  SUMS_PER_BLOCK,
  type Tile,
} from "./kernels.ts";
import { encode as encodeReference } from "./kernels/encode.ts";
import * as module from "./kernels/quantize_tile.wasm";

/** Bytes of each block's parameters, sums, range and SIMD lanes in the module's memory. */
const BLOCK_BYTES = { params: 12, sums: 8 * SUMS_PER_BLOCK, range: 8, lanes: 32 } as const;

/** First byte used; the module itself keeps nothing in its memory. */
const BASE = 1024;

const PAGE = 65536;

/**
 * Below this scale its inverse passes 2^125, and a subnormal weight, which counts as 0, could reach
 * half a step. No weight of a trained model is that small; such a tile takes the reference kernel.
 */
const LEAST_SCALE = 2 ** -125;

/** For each dtype: the bits from which on a value is infinite or NaN, and the bits of the least normal F32. */
const LIMITS: Record<FloatDtype, { infinite: number; normal: number }> = {
  F32: { infinite: 0x7f80_0000, normal: 0x0080_0000 },
  BF16: { infinite: 0x7f80, normal: 0x0080 },
  F16: { infinite: 0x7c00, normal: 1 },
};

const ENCODE = {
  BF16: { 2: module.encode_bf16_2, 4: module.encode_bf16_4, 8: module.encode_bf16_8 },
  F16: { 2: module.encode_f16_2, 4: module.encode_f16_4, 8: module.encode_f16_8 },
  F32: { 2: module.encode_f32_2, 4: module.encode_f32_4, 8: module.encode_f32_8 },
} as const;

/** The module's memory, which only grows: the input first, everything else behind it. */
let inputCapacity = 0;

function align(size: number): number {
  return Math.ceil(size / 16) * 16;
}

function grow(byteLength: number): void {
  const missing = byteLength - module.memory.buffer.byteLength;
  if (missing > 0) module.memory.grow(Math.ceil(missing / PAGE));
}

function input(byteLength: number): Uint8Array<ArrayBuffer> {
  inputCapacity = Math.max(inputCapacity, align(byteLength));
  grow(BASE + inputCapacity);
  return new Uint8Array(module.memory.buffer as ArrayBuffer, BASE, byteLength);
}

/** Where the tile lies in the module's memory, copied there if it lies elsewhere. */
function place(bytes: Uint8Array, behind: number): { at: number; free: number } {
  const here = bytes.buffer === module.memory.buffer;
  if (!here) input(bytes.length);
  const free = BASE + inputCapacity;
  const offset = bytes.byteOffset;
  grow(free + behind);
  if (here) return { at: offset, free };
  new Uint8Array(module.memory.buffer).set(bytes, BASE);
  return { at: BASE, free };
}

function range(bytes: Uint8Array, tile: Tile): BlockRanges {
  const blocks = blockCount(tile);
  const lanes = align(blocksAcross(tile) * BLOCK_BYTES.lanes);
  const { at, free } = place(bytes, lanes + blocks * BLOCK_BYTES.range);
  const kernel = tile.dtype === "F32" ? module.range_32 : module.range_16;
  kernel(at, tile.rows, tile.columns, tile.blockRows, tile.blockColumns, free, free + lanes);
  const found = new Int32Array(module.memory.buffer, free + lanes, blocks * 2);
  return readRanges(found, tile.dtype);
}

/** Turns the largest bits of each block, as signed and as unsigned integers, into its range. */
function readRanges(found: Int32Array, dtype: FloatDtype): BlockRanges {
  const blocks = found.length / 2;
  const lo = new Float32Array(blocks);
  const hi = new Float32Array(blocks);
  const wide = dtype === "F32";
  const sign = wide ? 0x8000_0000 : 0x8000;
  const { infinite, normal } = LIMITS[dtype];
  // Decoded all at once: bits that mark no value become 0.
  const bits = new Uint32Array(blocks * 2);
  for (let block = 0; block < blocks; block++) {
    const high = found[block * 2]!;
    const low = found[block * 2 + 1]! >>> 0;
    const magnitude = low >= sign ? low - sign : 0;
    if (high >= infinite || magnitude >= infinite) {
      lo[block] = NaN;
      hi[block] = NaN;
      continue;
    }
    bits[block * 2] = magnitude >= normal ? low : 0;
    bits[block * 2 + 1] = high >= normal ? high : 0;
  }
  const values = wide
    ? new Float32Array(bits.buffer)
    : dtype === "F16"
    ? Float32Array.from(new Float16Array(Uint16Array.from(bits).buffer))
    : new Float32Array(bits.map((half) => half << 16).buffer);
  for (let block = 0; block < blocks; block++) {
    if (Number.isNaN(lo[block])) continue;
    lo[block] = values[block * 2]!;
    hi[block] = values[block * 2 + 1]!;
  }
  return { lo, hi };
}

function encode(bytes: Uint8Array, tile: Tile, bits: Bits, params: BlockParams): EncodedTile {
  const { scale, zero_point } = params;
  const blocks = blockCount(tile);
  for (let block = 0; block < blocks; block++) {
    if (scale[block]! < LEAST_SCALE) return encodeReference(bytes, tile, bits, params);
  }
  const outBytes = tile.rows * packedBytes(tile.columns, bits);
  const paramBytes = align(blocks * BLOCK_BYTES.params);
  const sumBytes = align(blocks * BLOCK_BYTES.sums);
  const { at, free } = place(bytes, paramBytes + sumBytes + outBytes);
  const [paramsAt, sumsAt, outAt] = [free, free + paramBytes, free + paramBytes + sumBytes];
  const { buffer } = module.memory;
  const floats = new Float32Array(buffer, paramsAt, blocks * 3);
  const integers = new Int32Array(buffer, paramsAt, blocks * 3);
  for (let block = 0; block < blocks; block++) {
    floats[block * 3] = 1 / scale[block]!;
    floats[block * 3 + 1] = scale[block]!;
    integers[block * 3 + 2] = zero_point[block]!;
  }
  const sums = new Float64Array(buffer, sumsAt, blocks * SUMS_PER_BLOCK);
  sums.fill(0);
  const { rows, columns, blockRows, blockColumns, dtype } = tile;
  ENCODE[dtype][bits](at, rows, columns, blockRows, blockColumns, paramsAt, outAt, sumsAt);
  return {
    packed: new Uint8Array(buffer as ArrayBuffer, outAt, outBytes),
    sums: sums.map((sum, i) => {
      const inSteps = i % SUMS_PER_BLOCK < 2 || dtype !== "F32";
      return inSteps ? sum * scale[Math.floor(i / SUMS_PER_BLOCK)]! ** 2 : sum;
    }),
  };
}

/** The WASM kernels of this thread. */
export const wasmKernels: Kernels = { input, range, encode };
