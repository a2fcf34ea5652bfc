/** The `quantization_config` entry of config.json, as compressed-tensors reads it. */

import type { SkippedTensor } from "../../types.ts";
import { type LayerPlan, moduleName } from "../../plan/plan_layer.ts";

/** Version of the compressed-tensors format that is written. */
const FORMAT_VERSION = "0.20.0";

/**
 * Describes how the layers were packed: a config group for each width and block size. One alone targets all
 * linear layers; of several each names its layers, since vLLM lets the first target that fits decide. Inside
 * `weights` only the fields every version accepts are written.
 *
 * With `dequantize` the transformers library turns the layers into plain weights as it loads them. Where there
 * are zero points it has to; and then it takes the first group for all layers, so that it loads none of several.
 *
 * @param layers At least one.
 * @param skipped Every other tensor; the matrices among them are listed under `ignore`.
 */
export function describeQuantization(
  layers: readonly LayerPlan[],
  skipped: readonly SkippedTensor[],
): Record<string, unknown> {
  const kinds = [
    ...Map.groupBy(layers, ({ bits, symmetric, grid }) => `${bits} ${grid.groupSize} ${symmetric}`)
      .values(),
  ].sort((a, b) => b.length - a.length);
  const config_groups = Object.fromEntries(kinds.map((kind, i) => {
    const targets = kinds.length === 1 ? ["Linear"] : kind.map(({ name }) => name).sort();
    return [`group_${i}`, describeGroup(targets, kind[0]!)];
  }));
  return {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    quantization_status: "compressed",
    ...kinds.length === 1 && !layers[0]?.symmetric && { dequantize: true },
    config_groups,
    ignore: ignoredModules(layers, skipped),
    kv_cache_scheme: null,
    global_compression_ratio: null,
    sparsity_config: {},
    transform_config: {},
    version: FORMAT_VERSION,
  };
}

function describeGroup(
  targets: string[],
  { bits, symmetric, grid: { groupSize } }: LayerPlan,
): Record<string, unknown> {
  return {
    targets,
    weights: {
      num_bits: bits,
      type: "int",
      symmetric,
      strategy: groupSize === null ? "channel" : "group",
      group_size: groupSize,
      dynamic: false,
    },
    input_activations: null,
    output_activations: null,
    format: "pack-quantized",
  };
}

/** Modules a loader must leave alone; a tied output head has no tensor of its own but is one of them. */
function ignoredModules(
  layers: readonly LayerPlan[],
  skipped: readonly SkippedTensor[],
): string[] {
  const names = new Set(["lm_head"]);
  for (const { name } of skipped) {
    if (name.endsWith(".weight")) names.add(moduleName(name));
  }
  for (const { name } of layers) names.delete(name);
  return [...names].sort();
}
