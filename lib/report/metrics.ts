/** The figures that are compared: their names, and which way is better. */

/** A figure of a report or of a layer. */
export interface Metric {
  /** Its key in the report. */
  readonly name: MetricName;
  /** Which way is better; `null` where neither is. */
  readonly better: "higher" | "lower" | null;
  /** What `null` stands for in a report; absent where it stands for nothing. */
  readonly nullIs?: number;
  /** Whether reports may do without it. */
  readonly isOptional?: boolean;
  /** Of a layer's figure: by how much it has to move for the layer to be better or worse; absent: it never is by it. */
  readonly tolerance?: number;
}

/** Names of all figures. */
export type MetricName =
  | "smoothness_score"
  | "violation_count"
  | "cosine_similarity"
  | "sqnr_db"
  | "output_sqnr_db"
  | "quality_grade"
  | "activation_smoothness_score"
  | "activation_sqnr_db"
  | "min_boundary_score"
  | "max_boundary_score"
  | "mean_boundary_score"
  | "std_boundary_score"
  | "compression_ratio"
  | "model_size_mb"
  | "bits_per_weight"
  | "output_bytes"
  | "parameter_count"
  | "quantized_parameter_count";

/** The figures that one of two has, at least. */
export function metricsOf<M extends Metric>(
  metrics: readonly M[],
  ...both: readonly { readonly [name in MetricName]?: number | null | undefined }[]
): M[] {
  const isNeeded = ({ isOptional }: Metric) => isOptional !== true;
  return metrics.filter((metric) =>
    isNeeded(metric) || both.some((one) => one[metric.name] !== undefined)
  );
}

/** What each figure is called where people read it. */
const LABELS: Record<MetricName | LayerCount, string> = {
  smoothness_score: "Smoothness score",
  violation_count: "Violations",
  cosine_similarity: "Cosine similarity",
  sqnr_db: "SQNR of the weights, dB",
  output_sqnr_db: "SQNR of the outputs, dB",
  quality_grade: "Quality grade",
  activation_smoothness_score: "Smoothness of activations",
  activation_sqnr_db: "Expected SQNR of activations, dB",
  min_boundary_score: "Lowest boundary score",
  max_boundary_score: "Highest boundary score",
  mean_boundary_score: "Mean boundary score",
  std_boundary_score: "Spread of boundary scores",
  compression_ratio: "Compression ratio",
  model_size_mb: "Model size, MB",
  bits_per_weight: "Bits a weight",
  output_bytes: "Bytes",
  parameter_count: "Parameters",
  quantized_parameter_count: "Parameters quantized",
  vanished_layers: "Vanished layers",
  new_layers: "New layers",
  renamed_layers: "Renamed layers",
};

/** What a figure is called where people read it; its key in the report stays what programs read. */
export function labelOf(metric: MetricName | LayerCount): string {
  return LABELS[metric];
}

/** Figures of the weights, which say nothing where the output's are known: compensation makes them worse. */
export const WEIGHT_FIGURES: readonly MetricName[] = ["cosine_similarity", "sqnr_db"];

/** Figures of a report, the important ones first. */
export const METRICS = [
  { name: "smoothness_score", better: "higher" },
  { name: "violation_count", better: "lower" },
  { name: "cosine_similarity", better: "higher" },
  // No noise at all is an infinite ratio, which JSON cannot hold.
  { name: "sqnr_db", better: "higher", nullIs: Infinity },
  { name: "output_sqnr_db", better: "higher", isOptional: true },
  { name: "activation_smoothness_score", better: "higher", isOptional: true },
  { name: "activation_sqnr_db", better: "higher", isOptional: true, nullIs: Infinity },
  { name: "min_boundary_score", better: "higher" },
  { name: "max_boundary_score", better: "higher" },
  { name: "mean_boundary_score", better: "higher" },
  { name: "std_boundary_score", better: "lower" },
  { name: "compression_ratio", better: "higher" },
  { name: "model_size_mb", better: "lower" },
  { name: "bits_per_weight", better: "lower" },
  { name: "parameter_count", better: null },
  { name: "quantized_parameter_count", better: null },
] as const satisfies readonly Metric[];

/** How far the figures of a report may get worse, unless a gate is told otherwise; SQNR in dB. */
export const TOLERANCES = {
  score: 0.01,
  cosine: 0.002,
  sqnr: 0.2,
  layerSqnr: 1,
  // What 1 dB comes to at 8 dB.
  layerCosine: 0.02,
} as const;

/** Figures of a layer. `quality_grade` follows from its SQNR: 4 is excellent, 0 broken. */
export const LAYER_METRICS = [
  { name: "smoothness_score", better: "higher", tolerance: TOLERANCES.score },
  { name: "violation_count", better: "lower", tolerance: 0 },
  { name: "cosine_similarity", better: "higher", tolerance: TOLERANCES.layerCosine },
  { name: "sqnr_db", better: "higher", nullIs: Infinity, tolerance: TOLERANCES.layerSqnr },
  { name: "output_sqnr_db", better: "higher", isOptional: true, tolerance: TOLERANCES.layerSqnr },
  { name: "quality_grade", better: "higher", tolerance: 0 },
  { name: "output_bytes", better: "lower", tolerance: 0 },
] as const satisfies readonly Metric[];

/** Numbers of layers that are only in one of two reports, or under another name; less is better. */
export type LayerCount = "vanished_layers" | "new_layers" | "renamed_layers";

/** Every {@linkcode LayerCount}. */
export const LAYER_COUNTS: readonly LayerCount[] = [
  "vanished_layers",
  "new_layers",
  "renamed_layers",
];

/** A number rounded to the 6 significant digits that a baseline holds, and that are compared. */
export function sixDigits(value: number): number {
  return Number(value.toPrecision(6));
}

/** Whether two figures are equal: whole numbers exactly, others to 6 significant digits. */
export function isSameFigure(a: number, b: number): boolean {
  if (Number.isInteger(a) && Number.isInteger(b)) return a === b;
  return sixDigits(a) === sixDigits(b);
}

/** The number that a report's value stands for; `NaN` where it stands for none. */
export function numberOf({ nullIs }: Metric, value: number | null | undefined): number {
  return value === null ? nullIs ?? NaN : value ?? NaN;
}
