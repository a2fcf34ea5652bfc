/** The WebGPU kernel of error compensation: a row to an invocation, runs of columns one behind the other. */

import { type Bits, type CompensationInputs, qmaxOf } from "../types.ts";
import type { Lane } from "./device_lane.ts";
import {
  blockCount,
  type BlockParams,
  blocksAcross,
  type EncodedTile,
  isCommonScale,
  KIND,
  type Tile,
} from "./kernels.ts";
import compensateSource from "./kernels/compensate.wgsl" with { type: "text" };
import loadSource from "./kernels/load_weight.wgsl" with { type: "text" };
import { compensateOnProcessor } from "./on_processor.ts";
import { packedBytes } from "./pack_codes.ts";
import { powerBelow } from "./power_below.ts";

/** Rows of a workgroup: few, so that the rows of a tile are spread over as much of a device as can be. */
const GROUP = 32;

/** Columns of a dispatch at most; its sums stay within 1e-6. */
const MOST_COLUMNS = 256;

/** Columns of a dispatch at least, which the shader's running sums ask for. */
const LEAST_COLUMNS = 16;

/** Steps of the innermost loop in a dispatch at most: a tenth of a second or two on a software adapter. */
const STEPS = 2 ** 22;

/** Bytes between the runs' uniforms: what every device wants bindings to begin at. */
const RUN_BYTES = 256;

/** Sums of a row over a run. */
const SUMS = 5;

/** Quantizes tiles with compensation, see {@linkcode Kernels.compensate}. */
export type DeviceCompensator = (
  bytes: Uint8Array,
  tile: Tile,
  bits: Bits,
  params: BlockParams,
  inputs: CompensationInputs,
) => Promise<EncodedTile> | EncodedTile;

/**
 * Makes the compensator of a lane. What a device is no use for goes to the processor: inputs of rank 0 or with segments, scales
 * whose squares leave F32, and what its buffers do not hold.
 */
export function createDeviceCompensator(lane: Lane): DeviceCompensator {
  const { device, onDevice } = lane;
  const module = lane.module("compensate", loadSource + compensateSource);
  const runBuffer = lane.buffer("uniform", "runs");
  const paramBuffer = lane.buffer("input", "compensation params");
  const columnBuffer = lane.buffer("input", "columns");
  const planBuffer = lane.buffer("input", "plan");
  const stateBuffer = lane.buffer("state", "state");
  const outBuffer = lane.buffer("state", "compensated");
  const sumBuffer = lane.buffer("output", "compensation sums");
  /** What is on the device from the call before: a layer has many tiles and one set of inputs. */
  let held: CompensationInputs | undefined;

  /** Puts a layer's inputs on the device, unless they are there. */
  function uploadInputs(inputs: CompensationInputs): void {
    if (held === inputs) return;
    const columns = layOutColumns(inputs);
    const plan = layOutPlan(inputs);
    device.queue.writeBuffer(columnBuffer.atLeast(columns.byteLength), 0, columns);
    device.queue.writeBuffer(planBuffer.atLeast(plan.byteLength), 0, plan);
    held = inputs;
  }

  async function compensate(
    bytes: Uint8Array,
    tile: Tile,
    bits: Bits,
    params: BlockParams,
    inputs: CompensationInputs,
    sizes: Sizes,
  ): Promise<EncodedTile> {
    const { rows, columns } = tile;
    const read = await onDevice((encoder) => {
      const base = lane.upload(bytes, tile.dtype, false);
      uploadInputs(inputs);
      const param = paramBuffer.atLeast(sizes.params);
      device.queue.writeBuffer(param, 0, layOutParams(params, bits, blockCount(tile)));
      const state = stateBuffer.atLeast(sizes.state);
      const out = outBuffer.atLeast(sizes.out);
      const sums = sumBuffer.atLeast(sizes.sums);
      encoder.clearBuffer(state, 0, sizes.state);
      encoder.clearBuffer(out, 0, sizes.out);
      const runs = runBuffer.atLeast(sizes.runs * RUN_BYTES);
      device.queue.writeBuffer(runs, 0, layOutRuns(base, tile, bits, sizes));
      const pipeline = lane.pipelineOf(module, "compensate", {
        KIND: KIND[tile.dtype],
        BITS: bits,
        GROUP,
      });
      for (let run = 0; run < sizes.runs; run++) {
        lane.dispatch(encoder, pipeline, Math.ceil(rows / GROUP), [
          { buffer: lane.weights() },
          { buffer: runs, offset: run * RUN_BYTES, size: RUN_BYTES },
          { buffer: param },
          { buffer: columnBuffer.atLeast(columns * 8) },
          { buffer: planBuffer.atLeast(sizes.plan) },
          { buffer: state },
          { buffer: out },
          { buffer: sums },
        ]);
      }
      return lane.copyBack(encoder, [
        { buffer: out, size: sizes.out },
        { buffer: state, size: sizes.state },
        { buffer: sums, size: sizes.sums },
      ]);
    });
    const state = new Float32Array(read, sizes.out, sizes.pairs * rows * 4);
    const sums = new Float32Array(read, sizes.out + sizes.state, sizes.sums / 4);
    return {
      packed: new Uint8Array(read, 0, sizes.out),
      sums: reduceSums(sums, state, rows, powerBelow(inputs.diagonal)),
    };
  }

  return (bytes, tile, bits, params, inputs) => {
    const sizes = measure(tile, bits, inputs.rank);
    const { scale, code_scale = scale } = params;
    // Results are read back together.
    const most = Math.max(sizes.plan, sizes.params, sizes.out + sizes.state + sizes.sums);
    const isCommon = scale.every(isCommonScale) && code_scale.every(isCommonScale);
    const isOne = inputs.rank > 0 && inputs.segments === undefined;
    return isOne && isCommon && most <= device.limits.maxStorageBufferBindingSize
      ? compensate(bytes, tile, bits, params, inputs, sizes)
      : compensateOnProcessor(bytes, tile, bits, params, inputs);
  };
}

/** Sizes of the buffers of a tile in bytes, and how its columns are cut into runs. */
interface Sizes {
  /** Pairs of columns of K. */
  pairs: number;
  /** Columns of a run. */
  step: number;
  /** How many runs there are. */
  runs: number;
  plan: number;
  params: number;
  state: number;
  out: number;
  sums: number;
}

function measure(tile: Tile, bits: Bits, rank: number): Sizes {
  const { rows, columns } = tile;
  const pairs = Math.ceil(rank / 2);
  const wanted = Math.floor(STEPS / (rows * Math.max(1, pairs)) / LEAST_COLUMNS) * LEAST_COLUMNS;
  const step = Math.min(MOST_COLUMNS, Math.max(LEAST_COLUMNS, wanted));
  const runs = Math.ceil(columns / step);
  return {
    pairs,
    step,
    runs,
    plan: columns * pairs * 16,
    params: blockCount(tile) * 16,
    state: (pairs + 1) * rows * 16,
    out: rows * packedBytes(columns, bits),
    sums: runs * SUMS * rows * 4,
  };
}

/** The shader's `Column`s. */
function layOutColumns({ order, diagonal }: CompensationInputs): Float32Array<ArrayBuffer> {
  const power = powerBelow(diagonal);
  const floats = new Float32Array(2 * order.length);
  const words = new Uint32Array(floats.buffer);
  for (const [p, column] of order.entries()) {
    words[2 * p] = column;
    floats[2 * p + 1] = diagonal[p]! / power;
  }
  return floats;
}

/** The shader's `plan`; an odd rank's last half pair is 0, and so are the gains behind the last column. */
function layOutPlan(
  { rank, order, sketch, gains }: CompensationInputs,
): Float32Array<ArrayBuffer> {
  const pairs = Math.ceil(rank / 2);
  const plan = new Float32Array(order.length * pairs * 4);
  for (let p = 0; p < order.length; p++) {
    for (let k = 0; k < rank; k++) {
      const to = (p * pairs + Math.floor(k / 2)) * 4 + k % 2;
      plan[to] = sketch[p * rank + k]!;
      plan[to + 2] = p + 1 < order.length ? gains[(p + 1) * rank + k]! : 0;
    }
  }
  return plan;
}

/** The shader's `Params` of each block. */
function layOutParams(
  { scale, zero_point, code_scale = scale }: BlockParams,
  bits: Bits,
  blocks: number,
): Float32Array<ArrayBuffer> {
  const params = new Float32Array(blocks * 4);
  for (let block = 0; block < blocks; block++) {
    const zeroPoint = zero_point[block]!;
    params[block * 4] = 1 / code_scale[block]!;
    params[block * 4 + 1] = scale[block]!;
    params[block * 4 + 2] = -zeroPoint;
    params[block * 4 + 3] = qmaxOf(bits) - zeroPoint;
  }
  return params;
}

/** The shader's `Run` of each dispatch. */
function layOutRuns(
  base: number,
  tile: Tile,
  bits: Bits,
  { pairs, step, runs }: Sizes,
): Uint32Array<ArrayBuffer> {
  const { rows, columns, blockRows, blockColumns } = tile;
  const across = blocksAcross(tile);
  const rowWords = packedBytes(columns, bits) / 4;
  const words = new Uint32Array(runs * RUN_BYTES / 4);
  for (let run = 0; run < runs; run++) {
    const first = run * step;
    const end = Math.min(columns, first + step);
    const shape = [base, rows, columns, blockRows, blockColumns, across, rowWords, pairs];
    words.set([...shape, first, end, run, 0], run * RUN_BYTES / 4);
  }
  return words;
}

/**
 * The sums of a tile.
 *
 * @param sums [runs][5][rows].
 * @param state [pairs][rows][4]: errors and signals.
 * @param power What D was divided by.
 */
function reduceSums(
  sums: Float32Array,
  state: Float32Array,
  rows: number,
  power: number,
): EncodedTile["sums"] {
  const all = new Float64Array(SUMS);
  for (const [i, sum] of sums.entries()) {
    const kind = Math.floor(i / rows) % SUMS;
    all[kind] = all[kind]! + sum;
  }
  const total = { signal: 0, error: 0 };
  for (let at = 0; at < state.length; at += 4) {
    total.error += state[at]! ** 2 + state[at + 1]! ** 2;
    total.signal += state[at + 2]! ** 2 + state[at + 3]! ** 2;
  }
  const [signal, decoded, error, ownSignal, ownError] = all;
  return {
    signal: signal!,
    decoded: decoded!,
    error: error!,
    output: {
      signal: ownSignal! * power + total.signal,
      error: ownError! * power + total.error,
    },
  };
}
