/** Granularity row on one layer: every row has blocks of its own, so rows can be done with one by one. */

import { SEARCHED_BITS } from "../compute/kernels/search.ts";
import type { Backend } from "../jobs/backend.ts";
import type { QuantizedRows, RowSums } from "../jobs/quantize_rows.ts";
import { addSums } from "../params/measure_quality.ts";
import { meanOfGroups } from "../params/score_track.ts";
import { smoothingWindowOf } from "../params/smooth_params.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import { markovWeightOf } from "../settings/settings.ts";
import { middleOf } from "../types.ts";
import { coupleGroups } from "./couple_groups.ts";
import type { GroupFindings, GroupsRecord } from "./layer_record.ts";
import { refuseLayer } from "./refuse_layer.ts";
import { bandsOfRows, keepParams, putParams } from "./row_params.ts";
import {
  cutRows,
  type LayerJob,
  type OnParams,
  type PhaseSettings,
  schemeOf,
  sliceRows,
} from "./slice_layer.ts";
import { smoothRows } from "./smooth_rows.ts";

/** Whether a phase moves parameters after a first look at all of a layer, so that they have to be kept. */
export function keepsParams(settings: PhaseSettings): boolean {
  const isCoupled = settings.phase === "optimize" && markovWeightOf(settings) > 0;
  return isCoupled || smoothingWindowOf(settings) !== null;
}

/** Quantizes a layer by rows, see {@linkcode quantizeLayer}. */
export async function quantizeByRows(
  job: LayerJob,
  backend: Backend,
  settings: PhaseSettings,
  onParams: OnParams,
): Promise<GroupFindings> {
  const { layer, inputs } = job;
  const { rows, columns, bits, grid } = layer;
  const isOptimized = settings.phase === "optimize";
  const weight = isOptimized ? markovWeightOf(settings) : 0;
  const window = smoothingWindowOf(settings);
  const blocks = columns / grid.blockColumns;
  const isSearched = isOptimized && bits === SEARCHED_BITS;
  const kept = keepsParams(settings) ? keepParams(rows * blocks, isSearched) : undefined;
  const runs = cutRows(layer, { from: 0, to: rows });
  const found = await Promise.all(runs.map(async (run) => {
    const piece = await backend.run({
      verb: "quantizeRows",
      ...sliceRows(job, run.from, run.to, 1),
      ...schemeOf(layer),
      isSearched,
      inputs,
    });
    if (piece === undefined) return refuseLayer(job);
    const { params, filled, ...rest } = piece;
    if (kept === undefined) await onParams(bandsOfRows(params, run, blocks));
    else putParams(kept, run.from * blocks, { ...params, filled });
    return { ...rest, count: countByRow(filled, blocks) };
  }));
  const groups = describeGroups(layer, found, ({ rows }) => rows);
  let findings: GroupFindings = {
    ...groups,
    sums: addSums(found.map(({ sums }) => sums)),
    schedule: null,
    baseline: null,
  };
  if (isOptimized) {
    findings.baseline = isSearched || inputs !== undefined
      ? {
        ...describeGroups(layer, found, ({ own }) => own!.rows),
        sums: addSums(found.map(({ own }) => own!.sums)),
      }
      : { ...groups, sums: findings.sums };
  }
  if (kept === undefined) return findings;
  if (weight > 0) {
    findings = { ...findings, ...await coupleGroups(job, backend, kept, findings, weight) };
  }
  if (window !== null) {
    const { scale, zero_point, sums } = findings;
    const smoothing = { window, method: settings.smoothingMethod };
    const smooth = await smoothRows(job, backend, kept, findings, smoothing);
    findings = {
      ...findings,
      ...smooth,
      ...!isOptimized && { baseline: { scale, zero_point, sums } },
    };
  }
  await onParams(bandsOfRows(kept, { from: 0, to: rows }, blocks));
  return findings;
}

/** How many blocks of each row are filled. */
function countByRow(filled: Uint8Array, blocks: number): Float64Array {
  const count = new Float64Array(filled.length / blocks);
  for (let row = 0, block = 0; row < count.length; row++) {
    for (const end = block + blocks; block < end; block++) {
      count[row] = count[row]! + filled[block]!;
    }
  }
  return count;
}

/** What is left of a run of rows when its parameters are written. */
interface Piece extends Omit<QuantizedRows, "params" | "filled"> {
  count: Float64Array;
}

/** The mean parameters of each time group: over the blocks that hold anything but zeros. */
function describeGroups(
  { axis: { boundaries }, bits, symmetric }: LayerPlan,
  pieces: readonly Piece[],
  rowsOf: (piece: Piece) => RowSums,
): Pick<GroupsRecord, "scale" | "zero_point"> {
  const join = (part: (piece: Piece) => Float64Array) => {
    if (pieces.length === 1) return part(pieces[0]!);
    const all = new Float64Array(boundaries.at(-1)!);
    let row = 0;
    for (const piece of pieces) {
      all.set(part(piece), row);
      row += part(piece).length;
    }
    return all;
  };
  return meanOfGroups(
    {
      scale: join((piece) => rowsOf(piece).scale),
      zero_point: join((piece) => rowsOf(piece).zero_point),
      count: join(({ count }) => count),
    },
    boundaries,
    symmetric ? middleOf(bits) : 0,
  );
}
