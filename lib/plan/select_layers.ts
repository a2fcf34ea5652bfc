/** Decides which tensors are quantized, and says why each other one is not. */

import { quote } from "../base/text.ts";
import { compilePattern } from "../base/match_pattern.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import {
  layerOptions,
  type LayerPlan,
  type LayerStorage,
  modulationOptions,
  moduleName,
  planAxisOf,
  planLayer,
} from "./plan_layer.ts";
import { classifyLayer } from "./classify_layer.ts";
import { isFloatDtype } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { SkippedTensor } from "../types.ts";

/** What speaks against a tensor, and that in words. */
type Refusal = [obstacle: Obstacle, reason: string];

/** Columns of a row that is one block at most: kernels by rows hold a whole block at a time. */
const WIDEST_BLOCK = 2 ** 22;

/** What may speak against quantizing a tensor. */
export type Obstacle =
  | "shape"
  | "name"
  | "dtype"
  | "empty"
  | "ignored"
  | "sensitive"
  | "rows"
  | "blocks"
  | "width";

/** The outcome of {@linkcode selectLayers}. */
export interface Selection {
  /** In the order of the files. */
  layers: LayerPlan[];
  /** Everything else. */
  skipped: SkippedTensor[];
  /** Those of the skipped that have too few rows, and only that speaks against them. */
  tooFewRows: { name: string; rows: number }[];
  /** Those of the skipped that the format cannot store, and only that speaks against them. */
  unheld: { name: string; columns: number }[];
  /** The first of the skipped that each obstacle speaks against. */
  obstacles: Map<Obstacle, SkippedTensor>;
  /** Patterns of `ignore` that matched no tensor at all. */
  unusedPatterns: string[];
}

/**
 * Selects the layers to quantize: matrices of F32, F16 or BF16 named `*.weight`, without the
 * sensitive ones, those that `ignore` names and those with fewer rows than there are time groups.
 * The share of the sensitive ones is mostly small, and their share of the damage is not: on a small
 * DiT, leaving the modulation alone is worth 3 dB at 2 bits.
 *
 * @param shards The model's files; only names, dtypes and shapes are looked at.
 * @throws {BadInputError} A pattern is malformed.
 */
export function selectLayers(
  shards: readonly { name: string; tensors: readonly TensorInfo[] }[],
  settings: QuantizeSettings,
  storage: LayerStorage,
): Selection {
  const { ignore, defaultIgnore, timeGroups } = settings;
  const patterns = ignore.map((text) => ({ text, pattern: compilePattern(text) }));
  const unused = new Set(ignore);
  const layers: LayerPlan[] = [];
  const skipped: SkippedTensor[] = [];
  const obstacles: Selection["obstacles"] = new Map();
  const tooFewRows: Selection["tooFewRows"] = [];
  const unheld: Selection["unheld"] = [];
  const ordinary = layerOptions(settings);
  const modulation = defaultIgnore ? modulationOptions(settings) : ordinary;
  const planAxis = planAxisOf(settings);
  const skip = ({ name }: TensorInfo, [obstacle, reason]: Refusal) => {
    skipped.push({ name, reason });
    if (!obstacles.has(obstacle)) obstacles.set(obstacle, { name, reason });
  };
  for (const shard of shards) {
    for (const tensor of shard.tensors) {
      const refusal = refuse(tensor);
      if (refusal !== undefined) {
        skip(tensor, refusal);
        continue;
      }
      const name = moduleName(tensor.name);
      const [rows = 0, columns = 0] = tensor.shape;
      if (rows < timeGroups) {
        tooFewRows.push({ name, rows });
        skip(tensor, ["rows", `${rows} rows are fewer than the time groups`]);
        continue;
      }
      const isModulation = classifyLayer(name, [rows, columns]) === "modulation";
      const options = isModulation ? modulation ?? ordinary : ordinary;
      const layer = planLayer(tensor, shard.name, options, storage, planAxis);
      if (layer === undefined) {
        unheld.push({ name, columns });
        skip(tensor, ["blocks", `${columns} columns fill no blocks of the format`]);
      } else if (layer.grid.bands === null && layer.grid.blockColumns > WIDEST_BLOCK) {
        skip(tensor, ["width", `rows of ${layer.grid.blockColumns} columns are too wide`]);
      } else {
        layers.push(layer);
      }
    }
  }
  return { layers, skipped, tooFewRows, unheld, obstacles, unusedPatterns: [...unused] };

  function refuse(tensor: TensorInfo): Refusal | undefined {
    const layer = moduleName(tensor.name);
    // Every pattern is tried, so that each one that matches counts as used.
    const matching = patterns.filter(({ pattern }) =>
      pattern.test(layer) || pattern.test(tensor.name)
    );
    for (const { text } of matching) unused.delete(text);
    const { dtype, shape: [rows = 0, columns = 0] } = tensor;
    const rank = tensor.shape.length;
    const isWeight = tensor.name.endsWith(".weight");
    if (isWeight && rank >= 3 && rank <= 5) return ["shape", `convolution (rank ${rank})`];
    if (rank !== 2) return ["shape", `not a matrix (rank ${rank})`];
    if (!isWeight) return ["name", "not named *.weight"];
    if (!isFloatDtype(dtype)) return ["dtype", `${dtype} is not F32, F16 or BF16`];
    if (rows * columns === 0) return ["empty", "empty"];
    if (matching[0] !== undefined) return ["ignored", `ignored by ${quote(matching[0].text)}`];
    const kind = defaultIgnore ? classifyLayer(layer, [rows, columns]) : undefined;
    if (kind === undefined || (kind === "modulation" && modulation !== undefined)) return undefined;
    return ["sensitive", `sensitive layer: ${kind}`];
  }
}
