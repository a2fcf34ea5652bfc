/** The `quantization_config` entry of config.json, as SDNQ reads it. */

import type { LayerPlan } from "../../plan/plan_layer.ts";
import type { Bits, SkippedTensor } from "../../types.ts";

/** What SDNQ calls the codes of each width. */
export const WEIGHTS_DTYPES: Record<Bits, string> = { 2: "uint2", 4: "uint4", 8: "int8" };

/**
 * Describes how the layers are stored: most of them by one width and block size, the others by name. Names
 * are whole and end in `.weight`, since SDNQ takes a shorter one for any layer whose name holds it. Every
 * linear layer that is not listed is taken for quantized.
 *
 * @param layers At least one.
 * @param skipped Every other tensor; what may be a linear layer's weight is listed.
 */
export function describeQuantization(
  layers: readonly LayerPlan[],
  skipped: readonly SkippedTensor[],
): Record<string, unknown> {
  const kinds = [...Map.groupBy(layers, kindOf).values()];
  const most = kinds.reduce((a, b) => b.length > a.length ? b : a)[0]!;
  const bits = most.bits;
  const size = sizeOf(most);
  const widths = Map.groupBy(layers.filter((layer) => layer.bits !== bits), ({ bits }) => bits);
  const sizes = layers.filter((layer) => sizeOf(layer) !== size);
  return {
    quant_method: "sdnq",
    weights_dtype: WEIGHTS_DTYPES[bits],
    group_size: size,
    modules_to_not_convert: skipped.map(({ name }) => name)
      .filter((name) => name.endsWith(".weight"))
      .sort(),
    ...widths.size > 0 && {
      modules_dtype_dict: Object.fromEntries(
        [...widths].map(([bits, layers]) => [WEIGHTS_DTYPES[bits], namesOf(layers)]),
      ),
    },
    ...sizes.length > 0 && {
      modules_quant_config: Object.fromEntries(
        sizes.map((layer) => [`${layer.name}.weight`, { group_size: sizeOf(layer) }])
          .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      ),
    },
  };
}

function kindOf(layer: LayerPlan): string {
  return `${layer.bits} ${sizeOf(layer)}`;
}

/** Columns of a block; -1: one block a row. */
function sizeOf({ grid: { groupSize } }: LayerPlan): number {
  return groupSize ?? -1;
}

function namesOf(layers: readonly LayerPlan[]): string[] {
  return layers.map(({ name }) => `${name}.weight`).sort();
}
