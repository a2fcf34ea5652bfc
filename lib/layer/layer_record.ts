/**
 * What a run found out about a layer, as plain data: all that the report and the time groups are built
 * from. It survives `JSON.stringify` and `JSON.parse` without loss, and its size depends on the time
 * axis, not on the number of weights or blocks.
 */

import type { LayerPlan } from "../plan/plan_layer.ts";
import type { FloatDtype } from "../safetensors/dtype.ts";
import type { Bits, CompensationInputs, ParamTrack, QualitySums, TimeAxis } from "../types.ts";

/** Parameters of time groups, [G] each, and the energies they come to. */
export interface GroupsRecord {
  /** The mean over the rows and blocks of each time group. */
  scale: number[];
  /** The mean over the rows and blocks of each time group. */
  zero_point: number[];
  /** Energies of the layer. */
  sums: QualitySums;
}

/** A finished layer. */
export interface LayerRecord extends GroupsRecord {
  /** Module name. */
  name: string;
  /** Output features. */
  rows: number;
  /** Input features. */
  columns: number;
  /** Dtype of the source. */
  dtype: FloatDtype;
  /** Width of a code. */
  bits: Bits;
  /** Columns of a block; `null`: one block a row, or one a slice. */
  group_size: number | null;
  /** Whether the block size asked for did not divide the columns. */
  fallback: boolean;
  /** Rank of the sketch by which errors were compensated; 0: only squares are known; `null`: nothing is. */
  inputs_rank: number | null;
  /** Its steps and time groups. */
  axis: TimeAxis;
  /** Bytes of the source tensor. */
  source_bytes: number;
  /** Bytes of the tensors that stand for it. */
  output_bytes: number;
  /** The parameters of its steps, before zero points were rounded and as stored; `null`: those of the groups. */
  schedule: { exact: ParamTrack; stored: ParamTrack } | null;
  /** What phase baseline comes to in the same run; `null` where it is the phase. */
  baseline: GroupsRecord | null;
  /** [CODE_BINS] weights of a sample of its rows, by where they lie among the codes of their blocks. */
  weight_histogram: number[];
}

/** What parameters a layer was given, and what they come to. */
export type GroupFindings = GroupsRecord & Pick<LayerRecord, "schedule" | "baseline">;

/** What became of a layer. */
export type LayerFindings = GroupFindings & Pick<LayerRecord, "weight_histogram">;

/**
 * Records a layer.
 *
 * @param outputBytes Bytes of the tensors that stand for it.
 * @param inputs What is known of its inputs.
 */
export function recordLayer(
  layer: LayerPlan,
  found: LayerFindings,
  outputBytes: number,
  inputs: Pick<CompensationInputs, "rank"> | undefined,
): LayerRecord {
  return {
    name: layer.name,
    rows: layer.rows,
    columns: layer.columns,
    dtype: layer.dtype,
    bits: layer.bits,
    group_size: layer.grid.groupSize,
    fallback: layer.grid.fallback,
    inputs_rank: inputs?.rank ?? null,
    axis: layer.axis,
    source_bytes: layer.tensor.end - layer.tensor.begin,
    output_bytes: outputBytes,
    ...found,
  };
}

/** The parameters of a layer's time groups over its axis. */
export function trackOfGroups(
  { axis }: Pick<LayerRecord, "axis">,
  { scale, zero_point }: Pick<GroupsRecord, "scale" | "zero_point">,
): ParamTrack {
  return { starts: axis.boundaries, scale, zero_point };
}
