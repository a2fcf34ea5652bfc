/** The `quantization_config` entry of config.json, as compressed-tensors reads it. */

import type { SkippedTensor } from "../../types.ts";
import { type LayerPlan, moduleName } from "../../plan/plan_layer.ts";

/** Version of the compressed-tensors format that is written. */
const FORMAT_VERSION = "0.20.0";

/**
 * Describes how the layers were packed: a config group for each width and block size. The first one,
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
  const kinds = [...Map.groupBy(layers, ({ bits, grid }) => `${bits} ${grid.groupSize}`).values()];
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
  { bits, grid: { groupSize } }: LayerPlan,
): Record<string, unknown> {
  return {
    targets,
    weights: {
      num_bits: bits,
      type: "int",
      symmetric: false,
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

/**
 * Adds an entry at the end of a JSON object without touching the rest of its text, so that numbers,
 * order and layout stay as their author wrote them. An entry of the same key goes.
 *
 * @param text A JSON object that has been read before; `undefined` starts a new one.
 */
export function appendEntry(text: string | undefined, key: string, value: unknown): string {
  const body = JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
  const entry = `  ${JSON.stringify(key)}: ${body}\n}\n`;
  if (text === undefined) return `{\n${entry}`;
  const rest = removeEntry(text, key);
  const before = rest.slice(0, rest.lastIndexOf("}")).trimEnd();
  return `${before}${before.endsWith("{") ? "" : ","}\n${entry}`;
}

/** Strings and what is between the values of well-formed JSON; a colon says nothing more. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** A JSON object's text without its entry of this key, if it has one, and without one comma beside it. */
function removeEntry(text: string, key: string): string {
  let depth = 0;
  /** Where the entry that is being read begins: behind a brace or a comma. */
  let from = 0;
  let name: string | undefined;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    // Of an entry's strings the first is its key; it may be written with escapes.
    if (token.startsWith('"')) {
      if (depth === 1) name ??= JSON.parse(token) as string;
      continue;
    }
    if (depth === 1 && (token === "," || token === "}")) {
      const isFirst = text[from - 1] === "{";
      if (name === key) {
        return token === ","
          ? text.slice(0, from) + text.slice(index + 1)
          : text.slice(0, isFirst ? from : from - 1) + text.slice(index);
      }
      name = undefined;
    }
    if (token === "{" || token === "[") depth++;
    if (token === "}" || token === "]") depth--;
    if (depth === 1 && (token === "{" || token === ",")) from = index + 1;
  }
  return text;
}
