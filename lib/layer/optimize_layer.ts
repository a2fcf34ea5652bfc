/** Phase optimize by slices: the parameters of all its time groups are chosen together. */

import type { BlockParams } from "../compute/kernels.ts";
import type { Backend } from "../jobs/backend.ts";
import { cutBlocks, type EnergyColumns } from "../jobs/optimize_slice.ts";
import type { BlockSpan } from "../jobs/read_values.ts";
import { addSums } from "../params/measure_quality.ts";
import type { LayerParams, QualitySums, QuantizedParams } from "../types.ts";
import { refuseLayer } from "./refuse_layer.ts";
import { runInOrder } from "./run_in_order.ts";
import { gatherBands, type LayerJob, paramsOfBands, schemeOf, sliceBlocks } from "./slice_layer.ts";

/**
 * Chooses the parameters of each block for all time groups, and encodes the layer.
 *
 * @param bands First row of each slice, and the number of rows at the end.
 * @param weight Cost of a jump of 1, in units of the least error a block can have.
 * @returns The choice, and phase baseline's for comparison.
 * @throws {BadInputError} A weight is NaN or infinite, or the range of a block exceeds 2^126.
 */
export async function optimizeLayer(
  job: LayerJob,
  backend: Backend,
  bands: number[],
  weight: number,
): Promise<QuantizedParams & { baseline: QuantizedParams }> {
  const { layer, inputs } = job;
  const scheme = schemeOf(layer);
  const groups = bands.length - 1;
  const blocks = layer.columns / layer.grid.blockColumns;
  const params = { ...emptyParams(bands, blocks), code_scale: new Float32Array(groups * blocks) };
  const own = emptyParams(bands, blocks);
  /** Energies of phase baseline: of each time group, and of F32 those that are measured later. */
  const ownSums = bands.slice(1).map(() => addSums([]));
  let known: QualitySums[] | undefined;
  await runInOrder(
    cutBlocks({ ...layer, ...layer.grid }, groups),
    (span) =>
      backend.run({ verb: "optimize", slice: sliceBlocks(job, span), bands, weight, ...scheme }),
    (found, span) => {
      if (found === undefined) return refuseLayer(job);
      putBlocks(params, found.params, span);
      putBlocks(own, found.own, span);
      if (found.ownSums !== undefined) addBlocks(ownSums, found.ownSums, span);
      known = found.sums;
    },
  );
  const runs = gatherBands(job, bands);
  if (layer.dtype === "F32") {
    await runInOrder(runs, ({ job: { slice, bands }, ...run }) => {
      const params = paramsOfBands(own, run);
      return backend.run({ verb: "assess", slice, bands, bits: layer.bits, params });
    }, (found) => void ownSums.push(...found));
  }
  const isKnown = known !== undefined && inputs === undefined;
  const sums: QualitySums[] = [];
  await runInOrder(runs, ({ job, ...run }) => {
    const encode = { verb: "encode", ...job, params: paramsOfBands(params, run), inputs } as const;
    return backend.run({ ...encode, isKnown });
  }, (found, { first, last }) => void sums.push(...isKnown ? known!.slice(first, last) : found));
  return { params, sums: addSums(sums), baseline: { params: own, sums: addSums(ownSums) } };
}

function emptyParams(bands: number[], blocks: number): LayerParams {
  const size = (bands.length - 1) * blocks;
  return { bands, blocks, scale: new Float32Array(size), zero_point: new Uint8Array(size) };
}

/** Puts the parameters of some blocks of each time group in their place among those of all. */
function putBlocks(
  all: LayerParams,
  { scale, zero_point, code_scale }: BlockParams,
  { first, count }: BlockSpan,
): void {
  for (let from = 0, to = first; from < scale.length; from += count, to += all.blocks) {
    all.scale.set(scale.subarray(from, from + count), to);
    all.zero_point.set(zero_point.subarray(from, from + count), to);
    if (code_scale !== undefined) all.code_scale?.set(code_scale.subarray(from, from + count), to);
  }
}

/** Adds the energies of some blocks to those of their time groups, block by block. */
function addBlocks(
  sums: QualitySums[],
  { signal, decoded, error }: EnergyColumns,
  { count }: BlockSpan,
): void {
  for (let i = 0; i < signal.length; i++) {
    const own = sums[Math.floor(i / count)]!;
    own.signal += signal[i]!;
    own.decoded += decoded[i]!;
    own.error += error[i]!;
  }
}
