/** The figures of one layer in a report. */

import { type GroupsRecord, type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import type { Bits, ParamTrack } from "../types.ts";
import { measureOutput, measureQuality, type Quality } from "../params/measure_quality.ts";
import { measureTrackJumps } from "../params/score_track.ts";
import {
  type BoundaryJump,
  scoreJumps,
  type Smoothness,
  weightJumps,
} from "../params/score_smoothness.ts";

/** Figures of one quantized layer. */
export interface LayerReport extends Smoothness, Quality {
  /** Module name. */
  name: string;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Dtype of the source. */
  dtype: string;
  /** Width of a code. */
  bits: Bits;
  /** Columns of a block; `null`: one block a row, or one a slice. */
  group_size: number | null;
  /** Whether the block size asked for did not divide the columns. */
  fallback: boolean;
  /** First row of each time group, and the number of rows at the end: [G+1]. */
  boundaries: number[];
  /** Scale of each time group, [G]: the mean over its rows and blocks. */
  scale: number[];
  /** Zero point of each time group, [G]: the mean over its rows and blocks. */
  zero_point: number[];
  /** Jumps at each boundary, [G-1]. */
  boundary_jumps: BoundaryJump[];
  /**
   * SQNR of its output in dB, by the second moments of its inputs; absent where nothing is known of them. What the
   * model does follows it, not the figures of the weights, which compensation makes worse.
   */
  output_sqnr_db?: number;
  /** The same in each segment of the time axis, where the calibration has several; `null` where it is unknown. */
  output_sqnr_db_by_segment?: (number | null)[];
  /**
   * Rank of the sketch by which its errors were compensated; 0: only the squares of its inputs are known, so that
   * nothing was compensated; absent where nothing is known of them.
   */
  compensation_rank?: number;
  /**
   * Its share of the model's error, 0 to 1: of that of the outputs where a calibration tells it of any layer, else
   * of the weights'. Absent where its own is unknown, and in older reports.
   */
  error_share?: number;
  /**
   * How many of its weights lie where on the axis of codes, in a sample of its rows: {@linkcode CODE_BINS}
   * counts over {@linkcode codeAxis}. Absent in older reports.
   */
  weight_histogram?: number[];
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
  | "output_sqnr_db"
>;

/**
 * Reports a layer.
 *
 * @param errorShare Its share of the model's error; `undefined`: unknown.
 */
export function reportLayer(
  record: LayerRecord,
  threshold: number,
  errorShare: number | undefined,
): LayerReport {
  const { axis, baseline, bits } = record;
  const jumps = measureTrackJumps(ownTrack(record), axis.boundaries, bits);
  return {
    name: record.name,
    rows: record.rows,
    columns: record.columns,
    dtype: record.dtype,
    bits,
    group_size: record.group_size,
    fallback: record.fallback,
    boundaries: axis.boundaries,
    scale: record.scale,
    zero_point: record.zero_point,
    boundary_jumps: jumps,
    ...scoreJumps(jumps, threshold),
    ...measureQuality(record.sums),
    ...given("output_sqnr_db", measureOutput(record.sums)),
    ...reportSegments(record.sums),
    ...given("compensation_rank", record.inputs_rank ?? undefined),
    ...given("error_share", errorShare),
    weight_histogram: record.weight_histogram,
    source_bytes: record.source_bytes,
    output_bytes: record.output_bytes,
    ...baseline === null ? {} : { baseline: reportBaseline(record, baseline, threshold) },
  };
}

/** The parameters of a layer over its axis as they are scored. */
export function ownTrack(record: LayerRecord): ParamTrack {
  return record.schedule?.exact ?? trackOfGroups(record, record);
}

function reportSegments(
  { output }: Pick<LayerRecord["sums"], "output">,
): Pick<LayerReport, "output_sqnr_db_by_segment"> {
  if (output?.segments === undefined) return {};
  return {
    output_sqnr_db_by_segment: output.segments.map((own) => measureOutput({ output: own }) ?? null),
  };
}

/** A key that is absent where there is no value. */
function given<K extends string>(key: K, value: number | undefined): { [key in K]?: number } {
  return value === undefined ? {} : { [key]: value } as { [key in K]: number };
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

function reportBaseline(
  record: LayerRecord,
  baseline: GroupsRecord,
  threshold: number,
): LayerBaseline {
  const { axis, bits } = record;
  const jumps = measureTrackJumps(trackOfGroups(record, baseline), axis.boundaries, bits);
  const { smoothness_score, violation_count } = scoreJumps(jumps, threshold);
  const { scale, zero_point, sums } = baseline;
  return {
    scale,
    zero_point,
    smoothness_score,
    violation_count,
    ...measureQuality(sums),
    ...given("output_sqnr_db", measureOutput(sums)),
  };
}
