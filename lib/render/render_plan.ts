/** What a run would do, for `inspect` and `--dry-run`. */

import { countNouns, escapeText, quote } from "../base/text.ts";
import type { RunPlan } from "../run/pipeline.ts";
import { checkpointBytes, packedSize } from "../format/compressed_tensors/plan_checkpoint.ts";
import { countParameters, modelBytes } from "../model/open_model.ts";
import type { QuantizeSettings } from "../settings.ts";
import type { SkippedTensor } from "../types.ts";

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
    layers: selection.layers.map((layer) => ({
      name: layer.name,
      dtype: layer.dtype,
      rows: layer.rows,
      columns: layer.columns,
      group_size: layer.groupSize,
      fallback: layer.fallback,
      source_bytes: layer.tensor.end - layer.tensor.begin,
      output_bytes: packedSize(layer),
    })),
    skipped: selection.skipped,
    left_out: model.leftOut,
  };
}

/** Renders a plan for people. */
export function renderPlan(summary: PlanSummary): string {
  const { layers, skipped } = summary;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const lines = [
    `${escapeText(summary.model_name)}: ${countNouns(summary.files.length, "weight file")}, ` +
    `${countNouns(layers.length + skipped.length, "tensor")}, ` +
    `${(summary.parameter_count / 1e6).toFixed(2)} M parameters, ${mb(summary.source_bytes)}`,
    `INT${summary.bit_width}, ${countNouns(summary.num_time_groups, "time group")}: ` +
    `${countNouns(layers.length, "layer")} to quantize, ${mb(summary.source_bytes)} -> ` +
    `${mb(summary.output_bytes)} (${(summary.source_bytes / summary.output_bytes).toFixed(2)}x)`,
    "",
    `To be quantized (${layers.length}):`,
  ];
  const width = layers.reduce((most, { name }) => Math.max(most, escapeText(name).length), 0);
  for (const layer of layers) {
    const blocks = layer.fallback
      ? `, one block a slice: the block size does not divide ${layer.columns}`
      : layer.group_size === null
      ? ""
      : `, blocks of ${layer.group_size}`;
    lines.push(
      `  ${escapeText(layer.name).padEnd(width)}  ${layer.dtype.padEnd(4)} ` +
        `[${layer.rows}, ${layer.columns}]${blocks}`,
    );
  }
  lines.push("", `Left as they are (${skipped.length}):`);
  for (const [reason, tensors] of Map.groupBy(skipped, (tensor) => tensor.reason)) {
    const shown = tensors.slice(0, 3).map(({ name }) => escapeText(name)).join(", ");
    const more = tensors.length > 3 ? `, and ${tensors.length - 3} more` : "";
    lines.push(`  ${escapeText(reason)} (${tensors.length}): ${shown}${more}`);
  }
  if (summary.left_out.length > 0) {
    lines.push("", `Files not copied: ${summary.left_out.map(quote).join(", ")}`);
  }
  return `${lines.join("\n")}\n`;
}
