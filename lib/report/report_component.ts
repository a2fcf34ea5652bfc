/** The models of a run: their sizes, and of a pipeline the figures of each component. */

import type { LayerRecord } from "../layer/layer_record.ts";
import { addSums, measureQuality, type Quality } from "../params/measure_quality.ts";
import { fullName } from "../plan/plan_layer.ts";
import type { SkippedTensor } from "../types.ts";
import { withTrack } from "./phase_figures.ts";
import { ownTrack, scoreLayers } from "./report_layer.ts";

/** What a run found out about a model. */
export interface PartResults {
  /** Its folder in a pipeline; empty for a model of its own. */
  component: string;
  /** Bytes of the source's weight files. */
  sourceBytes: number;
  /** Bytes of the output weights on disk. */
  outputBytes: number;
  /** Elements of the source. */
  parameterCount: number;
  /** Finished layers, in the order of the files. */
  records: LayerRecord[];
  /** Tensors left as they are. */
  skipped: SkippedTensor[];
}

/** Figures of a component of a pipeline. */
export interface ComponentReport extends Quality {
  /** Its folder. */
  name: string;
  /** Elements of the source. */
  parameter_count: number;
  /** Elements quantized. */
  quantized_parameter_count: number;
  /** Bits of its output weights on disk an element of the source. */
  bits_per_weight: number;
  /** Bytes of the source weights / bytes of the output weights. */
  compression_ratio: number;
  /** Output weights on disk, in 10^6 bytes. */
  model_size_mb: number;
  /** 0 to 1. */
  smoothness_score: number;
  /** Boundaries whose scale jump passes the threshold. */
  violation_count: number;
  /** Quantized layers. */
  layer_count: number;
}

type ModelSize = Pick<
  ComponentReport,
  | "parameter_count"
  | "quantized_parameter_count"
  | "bits_per_weight"
  | "compression_ratio"
  | "model_size_mb"
>;

/** Layers and tensors of a pipeline are named with their component. */
export function nameFully(part: PartResults): PartResults {
  const { component, records, skipped } = part;
  if (component === "") return part;
  const rename = <T extends { name: string }>(one: T): T => ({
    ...one,
    name: fullName(component, one.name),
  });
  return { ...part, records: records.map(rename), skipped: skipped.map(rename) };
}

/** The sizes of some models together. */
export function measureSize(parts: readonly PartResults[]): ModelSize {
  const sum = (valueOf: (part: PartResults) => number) =>
    parts.reduce((total, part) => total + valueOf(part), 0);
  const [parameters, bytes] = [
    sum(({ parameterCount }) => parameterCount),
    sum(({ outputBytes }) => outputBytes),
  ];
  const elements = ({ rows, columns }: LayerRecord) => rows * columns;
  return {
    parameter_count: parameters,
    quantized_parameter_count: sum(({ records }) =>
      records.reduce((total, record) => total + elements(record), 0)
    ),
    bits_per_weight: bytes * 8 / parameters,
    compression_ratio: sum(({ sourceBytes }) => sourceBytes) / bytes,
    model_size_mb: bytes / 1e6,
  };
}

/** A component of a pipeline by itself. */
export function reportComponent(part: PartResults, threshold: number): ComponentReport {
  const { component: name, records } = part;
  const { smoothness_score, violation_count } = scoreLayers(
    records.map((record) => withTrack(record, ownTrack(record))),
    threshold,
  );
  return {
    name,
    ...measureSize([part]),
    smoothness_score,
    violation_count,
    ...measureQuality(addSums(records.map(({ sums }) => sums))),
    layer_count: records.length,
  };
}
