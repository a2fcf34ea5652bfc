/** What a phase comes to beside phase baseline in the same run. */

import { type LayerRecord, trackOfGroups } from "../layer/layer_record.ts";
import { measureOutputs } from "../params/measure_quality.ts";
import { measureTrackJumps } from "../params/score_track.ts";
import type { ParamTrack, QualitySums } from "../types.ts";
import type { LayerReport } from "./report_layer.ts";

/** What a phase is judged by. */
export interface PhaseFigures {
  /** 0 to 1; as a change, -1 to 1. */
  smoothness_score: number;
  /** Boundaries whose scale jump passes the threshold. */
  violation_count: number;
  /** -1 to 1. */
  cosine_similarity: number;
  /** In dB; `null` where there is no noise at all, and as a change where one of the two has none. */
  sqnr_db: number | null;
  /** In dB, of a baseline measured on some of its rows; absent where nothing is known of the inputs. */
  output_sqnr_db?: number;
  /** Output weights on disk, in 10^6 bytes. */
  model_size_mb: number;
}

/** A layer as far as the model's score needs it. */
export type ScoredLayer = Pick<LayerReport, "rows" | "columns" | "boundary_jumps">;

/** A layer with another track than its own. */
export function withTrack(record: LayerRecord, track: ParamTrack): ScoredLayer {
  const { rows, columns, axis, bits } = record;
  return { rows, columns, boundary_jumps: measureTrackJumps(track, axis.boundaries, bits) };
}

/** The figures of phase baseline in the same run and how this phase differs; nothing where it is the phase. */
export function compareWithBaseline(
  records: readonly LayerRecord[],
  found: PhaseFigures,
  figures: (scored: readonly ScoredLayer[], sums: readonly QualitySums[]) => PhaseFigures,
): { baseline?: PhaseFigures; change?: PhaseFigures } {
  const baselines = records.flatMap((record) =>
    record.baseline === null ? [] : [{ record, found: record.baseline }]
  );
  if (baselines.length === 0) return {};
  const all = figures(
    baselines.map(({ record, found }) => withTrack(record, trackOfGroups(record, found))),
    baselines.map(({ found }) => found.sums),
  );
  const baseline = {
    smoothness_score: all.smoothness_score,
    violation_count: all.violation_count,
    cosine_similarity: all.cosine_similarity,
    sqnr_db: all.sqnr_db,
    model_size_mb: all.model_size_mb,
  };
  const output = measureOutputs(
    baselines.map(({ record: { rows, columns }, found: { sums } }) => ({
      elements: rows * columns,
      sums,
    })),
  );
  const sqnr = found.sqnr_db === null || baseline.sqnr_db === null
    ? null
    : found.sqnr_db - baseline.sqnr_db;
  const change = {
    smoothness_score: found.smoothness_score - baseline.smoothness_score,
    violation_count: found.violation_count - baseline.violation_count,
    cosine_similarity: found.cosine_similarity - baseline.cosine_similarity,
    sqnr_db: sqnr,
    model_size_mb: found.model_size_mb - baseline.model_size_mb,
  };
  if (output === undefined || found.output_sqnr_db === undefined) return { baseline, change };
  return {
    baseline: { ...baseline, output_sqnr_db: output },
    change: { ...change, output_sqnr_db: found.output_sqnr_db - output },
  };
}
