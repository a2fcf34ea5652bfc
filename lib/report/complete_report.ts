/** Reads reports of earlier versions: adds what they do not say, because it could not be otherwise. */

import { isObject } from "./check_schema.ts";

type JsonObject = Record<string, unknown>;

/**
 * Adds the keys that reports and baselines once did without. What they say is not judged here: a figure
 * that follows from others which are wrong or missing is 0.
 */
export function completeReport(report: JsonObject): JsonObject {
  const { bit_width, default_ignore, layers, comparison } = report;
  const settings = {
    // There was nothing but slices, compressed-tensors and zero points; modulation was ignored by default.
    granularity: "slice",
    format: "compressed-tensors",
    symmetric: false,
    modulation: default_ignore === false ? null : "keep",
    bits_per_weight: bitsPerWeight(report),
    // Inputs were not quantized.
    activation_bits: null,
    activation_range: null,
    grouping: null,
    outlier_inputs: null,
    ...report,
  };
  return {
    ...settings,
    ...Array.isArray(layers) && {
      layers: layers.map((layer) => isObject(layer) ? { bits: bit_width, ...layer } : layer),
    },
    ...isObject(comparison) && { comparison: completeComparison(comparison, settings) },
  };
}

function bitsPerWeight({ model_size_mb: size, parameter_count: count }: JsonObject): number {
  if (typeof size !== "number" || typeof count !== "number" || count <= 0) return 0;
  return size * 8e6 / count;
}

/** What is compared: the report itself, and a baseline that shares what is not said to differ. */
function completeComparison(comparison: JsonObject, current: JsonObject): JsonObject {
  const { differing_settings } = comparison;
  const changes = Array.isArray(differing_settings) ? differing_settings.filter(isObject) : [];
  const own = { format: current.format, granularity: current.granularity };
  const others = Object.fromEntries(
    changes.filter(({ setting }) => Object.hasOwn(own, String(setting)))
      .map(({ setting, baseline }) => [String(setting), baseline]),
  );
  const complete = (identity: unknown, said: JsonObject) =>
    isObject(identity) ? { ...said, ...identity } : identity;
  return {
    ...comparison,
    baseline: complete(comparison.baseline, { ...own, ...others }),
    current: complete(comparison.current, own),
  };
}
