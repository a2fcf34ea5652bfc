/** The `quantization_config` entry of config.json, as compressed-tensors reads it. */

import type { SkippedTensor } from "../../types.ts";
import { type LayerPlan, moduleName } from "../../plan/plan_layer.ts";

/** Version of the compressed-tensors format that is written. */
const FORMAT_VERSION = "0.20.0";

/**
 * Describes how the layers were packed: a config group for each width and block size. With `dequantize`
 * the transformers library turns them into plain weights as it loads them, which it needs to do where there
 * are zero points, and runtimes that compute with codes do not read it. The first one,
 * of the layers in blocks where there are any, targets all linear layers, the others name theirs;
 * inside `weights` only the fields every version accepts are written.
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
  ];
  // Stable: of layers in blocks those that come first in the files.
  kinds.sort(([a], [b]) => Number(a!.grid.groupSize === null) - Number(b!.grid.groupSize === null));
  const config_groups = Object.fromEntries(kinds.map((kind, i) => {
    const targets = i === 0 ? ["Linear"] : kind.map(({ name }) => name).sort();
    return [`group_${i}`, describeGroup(targets, kind[0]!)];
  }));
  return {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    quantization_status: "compressed",
    dequantize: true,
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
