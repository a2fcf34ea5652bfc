/** Quantizes rows whose blocks share nothing: each tile is read once, and is done with when it is left. */

import {
  blockCount,
  type BlockParams,
  blocksAcross,
  type OwnParams,
  type Tile,
} from "../compute/kernels.ts";
import { estimateBlocks } from "../params/estimate_params.ts";
import { addSums } from "../params/measure_quality.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { Bits, CompensationInputs, OutputSums, QualitySums, Scheme } from "../types.ts";
import { type Desk, firstBlockOf, readAlone, tilesOfRows, wholeRowsOf } from "./desk.ts";
import { type CodesTarget, writeTile } from "./encode_slice.ts";
import type { Slice } from "./slice.ts";

/** Asks for rows to be quantized. */
export interface QuantizeRowsJob extends CodesTarget, Scheme {
  verb: "quantizeRows";
  /** Its blocks lie in one row each, and are not wider than a tile. */
  slice: Slice;
  /** Whether each block's parameters are searched; else they are those of its range. At 2 bits alone. */
  isSearched: boolean;
  /** The layer's inputs, where errors are compensated. */
  inputs?: CompensationInputs | undefined;
}

/** Sums over the blocks of each row that hold anything but zeros: [rows] each. */
export interface RowSums {
  /** Of the scales. */
  scale: Float64Array;
  /** Of the zero points. */
  zero_point: Float64Array;
}

/** What some parameters come to. */
export interface RowsFound {
  /** Their sums. */
  rows: RowSums;
  /** The energies of all rows. */
  sums: QualitySums;
}

/** Rows that were quantized. */
export interface QuantizedRows extends RowsFound {
  /** [rows * blocks] row by row; `code_scale` where they were searched. */
  params: BlockParams;
  /** [rows * blocks]: 1 where a block holds anything but zeros, else 0. */
  filled: Uint8Array;
  /** What the parameters of the blocks' ranges come to, where others were searched or errors compensated. */
  own?: RowsFound;
}

/** Runs the job; `undefined` where a block cannot be quantized. */
export async function quantizeRows(
  job: QuantizeRowsJob,
  desk: Desk,
): Promise<QuantizedRows | undefined> {
  const { slice, bits, isSearched, inputs } = job;
  const { rows, columns, blockColumns } = slice;
  const { kernels } = desk;
  const params = emptyParams(rows * (columns / blockColumns), isSearched);
  const filled = new Uint8Array(params.scale.length);
  const found = emptyRows(rows);
  const isCompared = isSearched || inputs !== undefined;
  const ranged = isCompared ? emptyRows(rows) : undefined;
  const room = createRoom();
  const plain = inputs && withoutGains(inputs);
  const outputs: OutputSums[] = [];
  let tiles = 0;
  const cut = inputs === undefined ? tilesOfRows(slice, desk) : wholeRowsOf(slice, desk);
  for (const [plan, tile] of cut) {
    const { length } = await readAlone(desk, slice, plan);
    // Asked for anew for each call: kernels may move their memory, keeping its content.
    const held = () => kernels.input(length);
    const own = room(blockCount(tile));
    const ranges = await kernels.range(held(), tile);
    if (!estimateBlocks(ranges, job, own)) return undefined;
    const best: BlockParams = isSearched ? await kernels.search(held(), tile, own, job) : own;
    if (ranged !== undefined) {
      const { sums } = await kernels.encode(held(), tile, bits, own, true);
      addTile(ranged, own, own, plan.row, blocksAcross(tile), sums);
    }
    if (plain !== undefined && tiles++ % SAMPLED_TILES === 0) {
      outputs.push(await sampleOutput(held(), tile, bits, own, plain, desk));
    }
    const { packed, sums } = inputs === undefined
      ? await kernels.encode(held(), tile, bits, best, true)
      : await kernels.compensate(held(), tile, bits, best, inputs);
    addTile(found, best, own, plan.row, blocksAcross(tile), sums);
    const first = firstBlockOf(slice, plan);
    for (let i = 0; i < own.largest.length; i++) filled[first + i] = own.largest[i]! > 0 ? 1 : 0;
    params.scale.set(best.scale, first);
    params.zero_point.set(best.zero_point, first);
    if (isSearched) params.code_scale?.set(best.code_scale ?? best.scale, first);
    await writeTile(job, desk, plan, tile, packed, best);
    await desk.onBytes(length);
  }
  if (ranged === undefined) return { params, filled, ...complete(found) };
  const own = complete(ranged);
  const output = plain && outputs.reduce((sum, { signal, error }) => ({
    signal: sum.signal + signal,
    error: sum.error + error,
  }));
  return { params, filled, ...complete(found), own: { ...own, sums: { ...own.sums, output } } };
}

/** Of how many tiles one is sampled for what the parameters of the ranges come to in the output. */
const SAMPLED_TILES = 8;

/** Rows of that tile that are sampled: as many as kernels take at a time, for each of so many rows. */
const SAMPLED_ROWS = { at: 16, of: 128 };

/** The same moments, with which nothing is compensated. */
function withoutGains({ segments: _, ...inputs }: CompensationInputs): CompensationInputs {
  return { ...inputs, gains: new Float32Array(inputs.gains.length) };
}

/**
 * What the parameters of some blocks come to in the output, on the first rows of a tile: as a share of the signal
 * that is nearly what all rows do, and all of them would take as long as the compensation itself.
 */
async function sampleOutput(
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  { scale, zero_point }: BlockParams,
  inputs: CompensationInputs,
  { kernels }: Desk,
): Promise<OutputSums> {
  const { at, of } = SAMPLED_ROWS;
  const rows = Math.min(tile.rows, at * Math.ceil(tile.rows / of));
  const part = { ...tile, rows };
  const blocks = blockCount(part);
  const params = { scale: scale.subarray(0, blocks), zero_point: zero_point.subarray(0, blocks) };
  const weights = bytes.slice(0, rows * tile.columns * floatBytes(tile.dtype));
  const { sums } = await kernels.compensate(weights, part, bits, params, inputs);
  return sums.output!;
}

/** Room for the parameters of a tile's blocks, used again by the next one. */
function createRoom(): (blocks: number) => OwnParams {
  let all: OwnParams | undefined;
  return (blocks) => {
    if (all === undefined || all.scale.length < blocks) all = emptyOwn(blocks);
    // Mostly: views would cost as much as a small layer's own work.
    if (all.scale.length === blocks) return all;
    return {
      scale: all.scale.subarray(0, blocks),
      zero_point: all.zero_point.subarray(0, blocks),
      largest: all.largest.subarray(0, blocks),
    };
  };
}

function emptyOwn(blocks: number): OwnParams {
  return {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    largest: new Float32Array(blocks),
  };
}

function emptyParams(blocks: number, isSearched: boolean): BlockParams {
  return {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    ...isSearched && { code_scale: new Float32Array(blocks) },
  };
}

function emptyRows(rows: number): Pick<RowsFound, "rows"> & { sums?: QualitySums } {
  return { rows: { scale: new Float64Array(rows), zero_point: new Float64Array(rows) } };
}

/** A slice has a tile at least, so that there are energies. */
function complete({ rows, sums }: ReturnType<typeof emptyRows>): RowsFound {
  return { rows, sums: sums ?? addSums([]) };
}

/** Adds what the parameters of a tile come to; those of all-zero blocks say nothing. */
function addTile(
  found: ReturnType<typeof emptyRows>,
  { scale, zero_point }: BlockParams,
  { largest }: OwnParams,
  row: number,
  across: number,
  sums: QualitySums,
): void {
  const { rows } = found;
  for (let block = 0; block < largest.length; row++) {
    let [scales, zeroPoints] = [0, 0];
    for (const end = block + across; block < end; block++) {
      if (largest[block] === 0) continue;
      scales += scale[block]!;
      zeroPoints += zero_point[block]!;
    }
    rows.scale[row] = rows.scale[row]! + scales;
    rows.zero_point[row] = rows.zero_point[row]! + zeroPoints;
  }
  found.sums = found.sums === undefined ? sums : addSums([found.sums, sums]);
}
