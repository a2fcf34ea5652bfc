/** What a run would do, for people. */

import { countNouns, escapeText, quote } from "../base/text.ts";
import { listCalibration } from "./render_calibration.ts";
import type { DiskSpace } from "../run/check_space.ts";
import type { PlanSummary } from "../run/summarize_plan.ts";

function describeSpace(
  { needed_bytes, free_bytes }: DiskSpace,
  mb: (bytes: number) => string,
): string {
  const free = free_bytes === null
    ? "what is free is not known without --allow-sys=statfs"
    : `${mb(free_bytes)} are free`;
  return `On the disk, with the files that go along: ${mb(needed_bytes)}, ${free}`;
}

/** Renders a plan for people. */
export function renderPlan(summary: PlanSummary): string {
  const { layers, skipped } = summary;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const lines = [
    `${escapeText(summary.model_name)}: ${countNouns(summary.files.length, "weight file")}, ` +
    `${countNouns(layers.length + skipped.length, "tensor")}, ` +
    `${(summary.parameter_count / 1e6).toFixed(2)} M parameters, ${mb(summary.source_bytes)}`,
    `INT${summary.bit_width}, ${
      countNouns(summary.num_time_groups, "time group")
    }, by ${summary.granularity}s: ` +
    `${countNouns(layers.length, "layer")} to quantize, ${mb(summary.source_bytes)} -> ` +
    `${mb(summary.output_bytes)} (${(summary.source_bytes / summary.output_bytes).toFixed(2)}x), ` +
    `${summary.bits_per_weight.toFixed(2)} bits a weight`,
    ...summary.disk === undefined ? [] : [describeSpace(summary.disk, mb)],
    "",
    `Loads in, as ${summary.format}:`,
    ...summary.loads_in.map((runtime) => `  ${runtime}`),
    "",
    `To be quantized (${layers.length}):`,
  ];
  const width = layers.reduce((most, { name }) => Math.max(most, escapeText(name).length), 0);
  for (const layer of layers) {
    const blocks = layer.group_size === null
      ? `one block a ${layer.granularity}`
      : `blocks of ${layer.group_size}`;
    const bits = layer.bits === summary.bit_width ? "" : `INT${layer.bits}, `;
    const why = layer.fallback ? `: the block size does not suit ${layer.columns}` : "";
    lines.push(
      `  ${escapeText(layer.name).padEnd(width)}  ${layer.dtype.padEnd(4)} ` +
        `[${layer.rows}, ${layer.columns}], ${bits}${blocks}${why}`,
    );
  }
  lines.push("", `Left as they are (${skipped.length}):`);
  for (const [reason, tensors] of Map.groupBy(skipped, (tensor) => tensor.reason)) {
    const shown = tensors.slice(0, 3).map(({ name }) => escapeText(name)).join(", ");
    const more = tensors.length > 3 ? `, and ${tensors.length - 3} more` : "";
    const bytes = tensors.reduce((sum, { source_bytes }) => sum + source_bytes, 0);
    const share = (100 * bytes / summary.source_bytes).toFixed(1);
    lines.push(
      `  ${escapeText(reason)} (${tensors.length}, ${share}% of the bytes): ${shown}${more}`,
    );
  }
  if (summary.left_out.length > 0) {
    lines.push("", `Files not copied: ${summary.left_out.map(quote).join(", ")}`);
  }
  if (summary.calibration !== undefined) lines.push("", ...listCalibration(summary.calibration));
  return `${lines.join("\n")}\n`;
}
