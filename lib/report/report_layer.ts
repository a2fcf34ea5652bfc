/** The figures of one layer in a report. */

import { measureQuality, type Quality } from "../params/measure_quality.ts";
import { packedSize } from "../format/compressed_tensors/plan_checkpoint.ts";
import { meanParams, measureScheduleJumps } from "../params/score_schedule.ts";
import {
  type BoundaryJump,
  scoreJumps,
  type Smoothness,
  weightJumps,
} from "../params/score_smoothness.ts";
import type { LayerPlan, QuantizedGroups, QuantizedLayer, Schedule } from "../types.ts";

/** Figures of one quantized layer. */
export interface LayerReport extends Smoothness, Quality {
  /** Module name. */
  name: string;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Dtype of the source and of the stored scales. */
  dtype: string;
  /** Columns of a block; `null`: one block a slice. */
  group_size: number | null;
  /** Whether the block size asked for did not divide the columns. */
  fallback: boolean;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  boundaries: number[];
  /** Scale of each time group, [G]: the mean over its blocks. */
  scale: number[];
  /** Zero point of each time group, [G]: the mean over its blocks. */
  zero_point: number[];
  /** Jumps at each boundary, [G-1]. */
  boundary_jumps: BoundaryJump[];
  /** Bytes of the source tensor. */
  source_bytes: number;
  /** Bytes of the tensors that stand for it. */
  output_bytes: number;
  /** What phase baseline comes to in this very run; absent where it is the phase. */
  baseline?: LayerBaseline;
}

/** What phase baseline comes to for a layer, in the same run. */
export type LayerBaseline = Pick<
  LayerReport,
  | "scale"
  | "zero_point"
  | "smoothness_score"
  | "violation_count"
  | "cosine_similarity"
  | "sqnr_db"
>;

/** What a run found out about a layer. */
export interface LayerResult extends QuantizedLayer {
  /** The layer. */
  layer: LayerPlan;
}

/** Reports a layer. */
export function reportLayer(result: LayerResult, threshold: number): LayerReport {
  const { layer, schedule, sums, baseline } = result;
  const jumps = measureScheduleJumps(schedule, layer.boundaries, layer.bits);
  return {
    name: layer.name,
    rows: layer.rows,
    columns: layer.columns,
    dtype: layer.dtype,
    group_size: layer.groupSize,
    fallback: layer.fallback,
    boundaries: layer.boundaries,
    ...listParams(result.groups),
    boundary_jumps: jumps,
    ...scoreJumps(jumps, threshold),
    ...measureQuality(sums),
    source_bytes: layer.tensor.end - layer.tensor.begin,
    output_bytes: packedSize(layer),
    ...baseline === undefined ? {} : { baseline: reportLayerBaseline(layer, baseline, threshold) },
  };
}

/** Scores layers together: their jumps at each boundary, weighted by elements. */
export function scoreLayers(
  layers: readonly Pick<LayerReport, "rows" | "columns" | "boundary_jumps">[],
  threshold: number,
): Smoothness & Pick<LayerReport, "boundary_jumps"> {
  const jumps = weightJumps(
    layers.map(({ boundary_jumps, rows, columns }) => ({
      jumps: boundary_jumps,
      elements: rows * columns,
    })),
  );
  return { ...scoreJumps(jumps, threshold), boundary_jumps: jumps };
}

function reportLayerBaseline(
  { boundaries, bits }: LayerPlan,
  { groups, sums }: QuantizedGroups,
  threshold: number,
): LayerBaseline {
  const jumps = measureScheduleJumps(groups, boundaries, bits);
  const { smoothness_score, violation_count } = scoreJumps(jumps, threshold);
  return { ...listParams(groups), smoothness_score, violation_count, ...measureQuality(sums) };
}

function listParams(groups: Schedule): Pick<LayerReport, "scale" | "zero_point"> {
  const params = meanParams(groups);
  return {
    scale: params.map(({ scale }) => scale),
    zero_point: params.map(({ zero_point }) => zero_point),
  };
}
