/** The SIMD WebAssembly kernel of error compensation: a module of its own, since few runs need it. */

import { floatBytes } from "../safetensors/dtype.ts";
import { type Bits, type CompensationInputs, qmaxOf } from "../types.ts";
import {
  type BlockParams,
  blocksAcross,
  type EncodedTile,
  isCommonScale,
  KIND,
  type Tile,
} from "./kernels.ts";
import { compensate as compensateReference } from "./kernels/compensate.ts";
import { COMPENSATE_ROWS } from "./kernels/compensate_rows_wasm.ts";
import { packedBytes } from "./pack_codes.ts";
import { powerBelow } from "./power_below.ts";

/** Rows that the module works on at a time. */
const ROWS = 16;

/** Sums of each row: F32 and behind them F64. */
const SUMS = 5;
const SUM_BYTES = SUMS * ROWS * (4 + 8);

/** First byte used. */
const BASE = 1024;

const PAGE = 65536;

/** What the module exports, see `kernels/assembly/compensate_rows.ts`; pointers in bytes. */
interface Exports {
  memory: WebAssembly.Memory;
  gather(
    kind: number,
    input: number,
    rows: number,
    columns: number,
    order: number,
    out: number,
  ): void;
  compensate(
    weights: number,
    columns: number,
    rank: number,
    blockOf: number,
    params: number,
    sketch: number,
    gains: number,
    diagonal: number,
    state: number,
    sums: number,
    codes: number,
  ): void;
  measure(
    weights: number,
    codes: number,
    columns: number,
    rank: number,
    blockOf: number,
    params: number,
    sketch: number,
    diagonal: number,
    state: number,
    sums: number,
  ): void;
  pack(
    codes: number,
    rows: number,
    columns: number,
    order: number,
    bits: number,
    rowBytes: number,
    out: number,
  ): void;
}

let compiled: WebAssembly.Module | undefined;

/** Quantizes tiles with compensation, see {@linkcode Kernels.compensate}. */
export type Compensator = (
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
  inputs: CompensationInputs,
) => EncodedTile;

/** Makes a compensator: an instance of the module, with a memory of its own. */
export function createCompensator(): Compensator {
  compiled ??= new WebAssembly.Module(Uint8Array.fromBase64(COMPENSATE_ROWS));
  const module = new WebAssembly.Instance(compiled).exports as unknown as Exports;
  /** What lies in the memory from the call before: a layer has many tiles and one set of inputs. */
  let held: { inputs: CompensationInputs; blockColumns: number; power: number } | undefined;

  return (bytes, tile, bits, params, inputs) => {
    const { rows, columns, dtype } = tile;
    const { rank, order, sketch, gains, diagonal, segments = [] } = inputs;
    const { scale, code_scale = scale } = params;
    if (!scale.every(isCommonScale) || !code_scale.every(isCommonScale)) {
      return compensateReference(bytes, tile, bits, params, inputs);
    }
    const across = blocksAcross(tile);
    const largest = segments.reduce((most, own) => Math.max(most, own.rank), rank);
    const rowBytes = packedBytes(columns, bits);
    const weightBytes = columns * floatBytes(dtype);
    let end = BASE;
    const take = (length: number): number => {
      const at = end;
      end += Math.ceil(length / 64) * 64;
      return at;
    };
    // What is held from call to call comes first: its place depends on nothing else.
    const at = {
      order: take(order.byteLength),
      blockOf: take(order.byteLength),
      sketch: take(sketch.byteLength),
      gains: take(gains.byteLength),
      diagonal: take(diagonal.byteLength),
      segments: segments.map((own) => ({
        sketch: take(own.sketch.byteLength),
        diagonal: take(own.diagonal.byteLength),
      })),
      params: take(across * 4 * ROWS * 4),
      state: take(largest * 2 * ROWS * 4),
      sums: take(SUM_BYTES),
      input: take(ROWS * weightBytes),
      weights: take(columns * ROWS * 4),
      codes: take(columns * ROWS),
      packed: take(ROWS * rowBytes),
    };
    const missing = end - module.memory.buffer.byteLength;
    if (missing > 0) module.memory.grow(Math.ceil(missing / PAGE));
    const { buffer } = module.memory;
    const floats = (begin: number, length: number) => new Float32Array(buffer, begin, length);
    if (held?.inputs !== inputs || held.blockColumns !== tile.blockColumns) {
      const power = powerBelow(diagonal);
      new Int32Array(buffer, at.order, columns).set(order);
      const blockOf = new Int32Array(buffer, at.blockOf, columns);
      for (let p = 0; p < columns; p++) blockOf[p] = Math.floor(order[p]! / tile.blockColumns);
      floats(at.sketch, sketch.length).set(sketch);
      floats(at.gains, gains.length).set(gains);
      floats(at.diagonal, columns).set(diagonal.map((value) => value / power));
      for (const [i, own] of segments.entries()) {
        floats(at.segments[i]!.sketch, own.sketch.length).set(own.sketch);
        floats(at.segments[i]!.diagonal, columns).set(own.diagonal.map((value) => value / power));
      }
      held = { inputs, blockColumns: tile.blockColumns, power };
    }
    const room = floats(at.params, across * 4 * ROWS);
    const packed = new Uint8Array(rows * rowBytes);
    const all = new Float64Array(SUMS);
    const { power } = held;
    const outputs = { signal: 0, error: 0 };
    const bySegment = segments.map(() => ({ signal: 0, error: 0 }));
    const clear = (rank: number) => {
      new Uint8Array(buffer, at.state, rank * 2 * ROWS * 4).fill(0);
      new Uint8Array(buffer, at.sums, SUM_BYTES).fill(0);
    };
    /** What the errors and weights came to in the directions of a sketch. */
    const addState = (rank: number, count: number, to: { signal: number; error: number }) => {
      const state = floats(at.state, rank * 2 * ROWS);
      for (let lane = 0; lane < count; lane++) {
        to.error += squaresOf(state, lane);
        to.signal += squaresOf(state, ROWS + lane);
      }
    };
    const wideSums = () => new Float64Array(buffer, at.sums + SUMS * ROWS * 4, SUMS * ROWS);
    for (let row = 0; row < rows; row += ROWS) {
      const count = Math.min(ROWS, rows - row);
      const from = bytes.subarray(row * weightBytes, (row + count) * weightBytes);
      new Uint8Array(buffer, at.input, from.length).set(from);
      module.gather(KIND[dtype], at.input, count, columns, at.order, at.weights);
      layOut(room, tile, bits, params, row, count);
      clear(rank);
      module.compensate(
        at.weights,
        columns,
        rank,
        at.blockOf,
        at.params,
        at.sketch,
        at.gains,
        at.diagonal,
        at.state,
        at.sums,
        at.codes,
      );
      const out = new Uint8Array(buffer, at.packed, count * rowBytes).fill(0);
      module.pack(at.codes, count, columns, at.order, bits, rowBytes, at.packed);
      packed.set(out, row * rowBytes);
      addSums(all, wideSums());
      addState(rank, count, outputs);
      for (const [i, own] of segments.entries()) {
        clear(own.rank);
        const { sketch, diagonal } = at.segments[i]!;
        module.measure(
          at.weights,
          at.codes,
          columns,
          own.rank,
          at.blockOf,
          at.params,
          sketch,
          diagonal,
          at.state,
          at.sums,
        );
        const found = new Float64Array(SUMS);
        addSums(found, wideSums());
        bySegment[i]!.signal += found[3]! * power;
        bySegment[i]!.error += found[4]! * power;
        addState(own.rank, count, bySegment[i]!);
      }
    }
    const [signal, decoded, error, ownSignal, ownError] = all;
    return {
      packed,
      sums: {
        signal: signal!,
        decoded: decoded!,
        error: error!,
        output: {
          signal: ownSignal! * power + outputs.signal,
          error: ownError! * power + outputs.error,
          ...inputs.segments !== undefined && { segments: bySegment },
        },
      },
    };
  };
}

/** The parameters of the blocks of sixteen rows: inverse scale, scale, lowest and highest step, [4][16] each. */
function layOut(
  room: Float32Array,
  tile: Tile,
  bits: Bits,
  { scale, zero_point, code_scale = scale }: BlockParams,
  row: number,
  count: number,
): void {
  const across = blocksAcross(tile);
  const qmax = qmaxOf(bits);
  room.fill(0);
  for (let lane = 0; lane < count; lane++) {
    const first = Math.floor((row + lane) / tile.blockRows) * across;
    for (let block = 0; block < across; block++) {
      const to = block * 4 * ROWS + lane;
      const zeroPoint = zero_point[first + block]!;
      room[to] = 1 / code_scale[first + block]!;
      room[to + ROWS] = scale[first + block]!;
      room[to + 2 * ROWS] = -zeroPoint;
      room[to + 3 * ROWS] = qmax - zeroPoint;
    }
  }
}

/** Adds the sums of all rows. */
function addSums(all: Float64Array, found: Float64Array): void {
  for (let i = 0; i < found.length; i++) {
    const sum = Math.floor(i / ROWS);
    all[sum] = all[sum]! + found[i]!;
  }
}

/** The sum of squares of every second vector's lane. */
function squaresOf(state: Float32Array, lane: number): number {
  let sum = 0;
  for (let at = lane; at < state.length; at += 2 * ROWS) sum += state[at]! * state[at]!;
  return sum;
}
