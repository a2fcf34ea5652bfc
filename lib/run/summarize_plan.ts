/** What a run would do, as plain JSON, for `inspect` and `--dry-run`. */

import { checkpointBytes, packedSize } from "../format/compressed_tensors/plan_checkpoint.ts";
import { countParameters, modelBytes } from "../model/open_model.ts";
import type { QuantizeSettings } from "../settings.ts";
import type { Granularity, SkippedTensor } from "../types.ts";
import type { RunPlan } from "./plan_run.ts";

/** A plan as plain JSON. */
export interface PlanSummary {
  /** The model directory's name. */
  model_name: string;
  /** Weight files. */
  files: string[];
  /** Elements of the model. */
  parameter_count: number;
  /** Bytes of the weight files. */
  source_bytes: number;
  /** Bytes of the weight files that a run would write. */
  output_bytes: number;
  /** Width of a code. */
  bit_width: number;
  /** Time groups. */
  num_time_groups: number;
  /** What shares parameters. */
  granularity: Granularity;
  /** Layers that would be quantized. */
  layers: {
    name: string;
    dtype: string;
    rows: number;
    columns: number;
    group_size: number | null;
    fallback: boolean;
    source_bytes: number;
    output_bytes: number;
  }[];
  /** Tensors that would be left as they are. */
  skipped: SkippedTensor[];
  /** Files that would not be copied. */
  left_out: string[];
}

/** Sums up a plan. */
export function summarizePlan(plan: RunPlan, settings: QuantizeSettings): PlanSummary {
  const { model, selection, shards } = plan;
  return {
    model_name: model.name,
    files: model.shards.map(({ name }) => name),
    parameter_count: countParameters(model),
    source_bytes: modelBytes(model),
    output_bytes: checkpointBytes(shards),
    bit_width: settings.bits,
    num_time_groups: settings.timeGroups,
    granularity: settings.granularity,
    layers: selection.layers.map((layer) => ({
      name: layer.name,
      dtype: layer.dtype,
      rows: layer.rows,
      columns: layer.columns,
      group_size: layer.grid.groupSize,
      fallback: layer.grid.fallback,
      source_bytes: layer.tensor.end - layer.tensor.begin,
      output_bytes: packedSize(layer),
    })),
    skipped: selection.skipped,
    left_out: model.leftOut,
  };
}
