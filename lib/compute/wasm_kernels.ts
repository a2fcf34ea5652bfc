/** The SIMD WebAssembly kernels: lays their memory out, and turns bits and step units into ranges and sums. */

import { packedBytes } from "./pack_codes.ts";
import { BINS, type Bits } from "../types.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import {
  blockCount,
  type BlockParams,
  type BlockRanges,
  type BlockRun,
  blocksAcross,
  type EncodedTile,
  type FoundParams,
  isCommonScale,
  KIND,
  MAX_HISTOGRAMS,
  type OwnParams,
  type SearchScheme,
  type SyncKernels,
  type Tile,
} from "./kernels.ts";
import { encode as encodeReference } from "./kernels/encode.ts";
import { search as searchReference, SEARCH_SCALES, WALK_START } from "./kernels/search.ts";
import { type Compensator, createCompensator } from "./wasm_compensation.ts";
import { readRanges } from "./read_ranges.ts";
import { QUANTIZE_TILE } from "./kernels/quantize_tile_wasm.ts";

/** Bytes of each block's parameters, range and SIMD lanes in the module's memory. */
const BLOCK_BYTES = { params: 12, range: 8, lanes: 32 } as const;

/** Bytes of the three sums of a tile. */
const SUM_BYTES = 3 * 8;

/** What the search is told: the scales tried, and what a walk begins with. */
const SEARCH_TABLE = Float64Array.of(...SEARCH_SCALES, WALK_START);

/** Added to the kind of the search's scales where the zero point is fixed. */
const SYMMETRIC_KIND = 4;

/** Bytes of a histogram. */
const HISTOGRAM_BYTES = 4 * BINS;

/** First byte used, that of the histograms; the module itself keeps nothing in its memory. */
const COUNTS_AT = 1024;

/**
 * First byte behind the histograms. They have a fixed place, so that nothing ever moves them; what no
 * histogram was counted in takes no memory of the machine's.
 */
const BASE = COUNTS_AT + MAX_HISTOGRAMS * HISTOGRAM_BYTES;

const PAGE = 65536;

/** What the module exports, see `kernels/assembly`; pointers in bytes. */
interface Exports {
  memory: WebAssembly.Memory;
  range_16: RangeKernel;
  range_32: RangeKernel;
  encode_bf16_2: EncodeKernel;
  encode_bf16_4: EncodeKernel;
  encode_bf16_8: EncodeKernel;
  encode_f16_2: EncodeKernel;
  encode_f16_4: EncodeKernel;
  encode_f16_8: EncodeKernel;
  encode_f32_2: EncodeKernel;
  encode_f32_4: EncodeKernel;
  encode_f32_8: EncodeKernel;
  search_bf16: SearchKernel;
  search_f16: SearchKernel;
  search_f32: SearchKernel;
  count_16: CountKernel;
  count_32: CountKernel;
}

type RangeKernel = (
  at: number,
  rows: number,
  columns: number,
  blockRows: number,
  blockColumns: number,
  lanes: number,
  found: number,
) => void;

type EncodeKernel = (
  at: number,
  rows: number,
  columns: number,
  blockRows: number,
  blockColumns: number,
  params: number,
  out: number,
  sums: number,
) => void;

type SearchKernel = (
  at: number,
  rows: number,
  columns: number,
  blockColumns: number,
  params: number,
  scales: number,
  table: number,
  scratch: number,
) => void;

type CountKernel = (
  at: number,
  rows: number,
  columns: number,
  blockColumns: number,
  blocks: number,
  counts: number,
) => void;

let compiled: WebAssembly.Module | undefined;

/** Compiled once for all instances of a thread. */
function compile(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Uint8Array.fromBase64(QUANTIZE_TILE));
  return compiled;
}

/** Of each block: its range, or its parameters. */
type BlockResults = BlockRanges & FoundParams;

function emptyResults(blocks: number): BlockResults {
  return {
    lo: new Float32Array(blocks),
    hi: new Float32Array(blocks),
    scale: new Float32Array(blocks),
    code_scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
  };
}

function align(size: number): number {
  return Math.ceil(size / 16) * 16;
}

/** Makes the WASM kernels: an instance of the module, with a memory of its own. */
export function createWasmKernels(): SyncKernels {
  const module = new WebAssembly.Instance(compile()).exports as unknown as Exports;
  const ENCODE = {
    BF16: { 2: module.encode_bf16_2, 4: module.encode_bf16_4, 8: module.encode_bf16_8 },
    F16: { 2: module.encode_f16_2, 4: module.encode_f16_4, 8: module.encode_f16_8 },
    F32: { 2: module.encode_f32_2, 4: module.encode_f32_4, 8: module.encode_f32_8 },
  } as const;

  const SEARCH = { BF16: module.search_bf16, F16: module.search_f16, F32: module.search_f32 };

  /** The module's memory, which only grows: histograms, the input, everything else behind it. */
  let inputCapacity = 0;

  /** What calls give back, used again by the next one: with blocks of 16 it would be as much as the weights. */
  let results = emptyResults(0);

  /** The part of them that the last call gave back: the next one mostly has as many blocks. */
  let lent = results;

  /** Results of so many blocks. */
  function roomFor(blocks: number): BlockResults {
    if (lent.lo.length === blocks) return lent;
    if (results.lo.length < blocks) results = emptyResults(blocks);
    const { lo, hi, scale, code_scale, zero_point } = results;
    return lent = {
      lo: lo.subarray(0, blocks),
      hi: hi.subarray(0, blocks),
      scale: scale.subarray(0, blocks),
      code_scale: code_scale.subarray(0, blocks),
      zero_point: zero_point.subarray(0, blocks),
    };
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
    const { lo, hi } = roomFor(blocks);
    return readRanges(found, tile.dtype, { lo, hi });
  }

  function search(
    bytes: Uint8Array,
    tile: Tile,
    own: OwnParams,
    scheme: SearchScheme,
  ): FoundParams {
    const blocks = blockCount(tile);
    if (!own.scale.every(isCommonScale)) return searchReference(bytes, tile, own, scheme);
    const paramBytes = align(blocks * BLOCK_BYTES.params);
    const tableBytes = align(SEARCH_TABLE.byteLength);
    // The weights of a block and their steps as I16, in whole groups of 64 bytes.
    const scratchBytes = 2 * (tile.blockColumns * 2 + 64);
    const { at, free } = place(bytes, paramBytes + tableBytes + scratchBytes);
    const { buffer } = module.memory;
    const floats = new Float32Array(buffer, free, blocks * 3);
    const integers = new Int32Array(buffer, free, blocks * 3);
    for (let block = 0; block < blocks; block++) {
      floats[block * 3] = own.largest[block]!;
      floats[block * 3 + 1] = own.scale[block]!;
      integers[block * 3 + 2] = own.zero_point[block]!;
    }
    const table = free + paramBytes;
    new Float64Array(buffer, table, SEARCH_TABLE.length).set(SEARCH_TABLE);
    const { rows, columns, blockColumns, dtype } = tile;
    const kind = KIND[scheme.scaleDtype] + (scheme.symmetric ? SYMMETRIC_KIND : 0);
    SEARCH[dtype](at, rows, columns, blockColumns, free, kind, table, table + tableBytes);
    const { scale, zero_point, code_scale } = roomFor(blocks);
    const found = { scale, zero_point, code_scale };
    for (let block = 0; block < blocks; block++) {
      found.code_scale[block] = floats[block * 3]!;
      found.scale[block] = floats[block * 3 + 1]!;
      found.zero_point[block] = integers[block * 3 + 2]!;
    }
    return found;
  }

  function encode(
    bytes: Uint8Array,
    tile: Tile,
    bits: Bits,
    params: BlockParams,
    _isHeld?: boolean,
    isSummed = true,
  ): EncodedTile {
    const { scale, zero_point, code_scale = scale } = params;
    const blocks = blockCount(tile);
    // Before the memory may grow, which would take the weights away from the reference.
    for (let block = 0; block < blocks; block++) {
      if (isCommonScale(code_scale[block]!) && isCommonScale(scale[block]!)) continue;
      return encodeReference(bytes, tile, bits, params);
    }
    const outBytes = tile.rows * packedBytes(tile.columns, bits);
    const paramBytes = align(blocks * BLOCK_BYTES.params);
    const { at, free } = place(bytes, paramBytes + align(SUM_BYTES) + outBytes);
    const [sumsAt, outAt] = [free + paramBytes, free + paramBytes + align(SUM_BYTES)];
    const { buffer } = module.memory;
    const floats = new Float32Array(buffer, free, blocks * 3);
    const integers = new Int32Array(buffer, free, blocks * 3);
    for (let block = 0; block < blocks; block++) {
      floats[block * 3] = 1 / code_scale[block]!;
      floats[block * 3 + 1] = scale[block]!;
      integers[block * 3 + 2] = zero_point[block]!;
    }
    const { rows, columns, blockRows, blockColumns, dtype } = tile;
    const addTo = isSummed ? sumsAt : 0;
    ENCODE[dtype][bits](at, rows, columns, blockRows, blockColumns, free, outAt, addTo);
    const packed = new Uint8Array(buffer as ArrayBuffer, outAt, outBytes);
    if (!isSummed) return { packed, sums: { signal: 0, decoded: 0, error: 0 } };
    const [signal, decoded, error] = new Float64Array(buffer, sumsAt, 3);
    return { packed, sums: { signal: signal!, decoded: decoded!, error: error! } };
  }

  function readCounts(histograms: number): Uint32Array {
    grow(BASE);
    return new Uint32Array(module.memory.buffer, COUNTS_AT, histograms * BINS);
  }

  function count(bytes: Uint8Array, tile: Tile, run: BlockRun): void {
    const { rows, columns, blockColumns, dtype } = tile;
    const { at } = place(bytes, 0);
    const first = at + run.first * blockColumns * floatBytes(dtype);
    const kernel = dtype === "F32" ? module.count_32 : module.count_16;
    const counts = COUNTS_AT + run.histogram * HISTOGRAM_BYTES;
    kernel(first, rows, columns, blockColumns, run.count, counts);
  }

  /** Made when it is needed: few runs need it. */
  let compensator: Compensator | undefined;

  return {
    tileBytes: 2 ** 20,
    input,
    range,
    search,
    encode,
    compensate: (...args) => (compensator ??= createCompensator())(...args),
    clearCounts: (histograms) => void readCounts(histograms).fill(0),
    count,
    readCounts,
  };
}
