/** What a run would do, as plain JSON, for `inspect` and `--dry-run`. */

import { listRuntimes } from "../format/list_runtimes.ts";
import { countParameters } from "../model/open_model.ts";
import { fullName } from "../plan/plan_layer.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import type { Bits, FormatName, Granularity, SkippedTensor } from "../types.ts";
import type { DiskSpace } from "./check_space.ts";
import { bytesOfFiles, type PartPlan, type RunPlan, sourceBytes } from "./plan_run.ts";
import { type CalibrationSummary, summarizeCalibration } from "./summarize_calibration.ts";

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
  /** Bits of the output a weight of the model, all of it counted. */
  bits_per_weight: number;
  /** Width of a code. */
  bit_width: number;
  /** Time groups. */
  num_time_groups: number;
  /** What shares parameters. */
  granularity: Granularity;
  /** How the checkpoint would be laid out. */
  format: FormatName;
  /** Runtimes that load it at these settings, and what has to be minded. */
  loads_in: string[];
  /** Layers that would be quantized. */
  layers: {
    name: string;
    dtype: string;
    rows: number;
    columns: number;
    bits: Bits;
    granularity: Granularity;
    group_size: number | null;
    fallback: boolean;
    source_bytes: number;
    output_bytes: number;
  }[];
  /** Tensors that would be left as they are. */
  skipped: (SkippedTensor & { source_bytes: number })[];
  /** Files that would not be copied. */
  left_out: string[];
  /** The room that the output takes and that there is; absent where no output is named. */
  disk?: DiskSpace;
  /** What is known of the layers' inputs; absent without a calibration. */
  calibration?: CalibrationSummary;
}

/**
 * Sums up a plan.
 *
 * @param disk From `checkSpace`, where an output is named.
 * @throws {BadInputError} A file of its calibration's can no longer be read.
 */
export function summarizePlan(
  plan: RunPlan,
  settings: QuantizeSettings,
  disk?: DiskSpace,
): PlanSummary {
  const { source, parts } = plan;
  const sum = (count: (part: PartPlan) => number) =>
    parts.reduce((total, part) => total + count(part), 0);
  const parameters = sum(({ model }) => countParameters(model));
  const bytes = sum(({ checkpoint }) => bytesOfFiles(checkpoint));
  const sizes = new Map(
    parts.flatMap(({ checkpoint: { files } }) =>
      files.flatMap(({ layers }) =>
        layers.map(({ layer, byteLength }) => [layer, byteLength] as const)
      )
    ),
  );
  const kinds = new Set(
    parts.flatMap(({ selection }) =>
      selection.layers.map(({ bits, grid }) => `${bits} ${grid.groupSize}`)
    ),
  );
  return {
    model_name: source.name,
    files: parts.flatMap(({ component, model }) =>
      model.shards.map(({ name }) => fullName(component, name))
    ),
    parameter_count: parameters,
    source_bytes: sourceBytes(plan),
    output_bytes: bytes,
    bits_per_weight: bytes * 8 / parameters,
    bit_width: settings.bits,
    num_time_groups: settings.timeGroups,
    granularity: settings.granularity,
    format: settings.format,
    loads_in: listRuntimes(settings, kinds.size > 1),
    layers: parts.flatMap(({ component, selection }) =>
      selection.layers.map((layer) => ({
        name: fullName(component, layer.name),
        dtype: layer.dtype,
        rows: layer.rows,
        columns: layer.columns,
        bits: layer.bits,
        granularity: layer.grid.bands === null ? "row" as const : "slice" as const,
        group_size: layer.grid.groupSize,
        fallback: layer.grid.fallback,
        source_bytes: layer.tensor.end - layer.tensor.begin,
        output_bytes: sizes.get(layer)!,
      }))
    ),
    skipped: parts.flatMap(({ component, model, selection }) => {
      const tensors = new Map(
        model.shards.flatMap(({ tensors }) => tensors.map((one) => [one.name, one] as const)),
      );
      return selection.skipped.map(({ name, reason }) => {
        const { begin, end } = tensors.get(name)!;
        return { name: fullName(component, name), reason, source_bytes: end - begin };
      });
    }),
    left_out: source.leftOut,
    ...disk && { disk },
    ...plan.calibration && { calibration: summarizeCalibration(plan.calibration, plan, settings) },
  };
}
