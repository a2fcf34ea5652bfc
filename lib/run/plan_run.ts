/** Opens a model and plans a run on it, as plain data. */

import { planShard, type ShardPlan } from "../format/compressed_tensors/plan_checkpoint.ts";
import { type Model, openModel } from "../model/open_model.ts";
import { type Selection, selectLayers } from "../plan/select_layers.ts";
import { checkSettings, type QuantizeSettings } from "../settings.ts";

/** A model, and what a run with given settings would do with it. Nothing has been written yet. */
export interface RunPlan {
  /** The source. */
  model: Model;
  /** What is quantized and what is not. */
  selection: Selection;
  /** The output shards. */
  shards: ShardPlan[];
}

/**
 * Opens a model and plans a run, whether or not the run would be refused.
 *
 * @param path The model directory.
 * @throws {BadInputError} A setting is one that no flag could give, or the model is malformed.
 */
export function openPlan(path: string, settings: QuantizeSettings): RunPlan {
  checkSettings(settings);
  const model = openModel(path);
  const selection = selectLayers(model.shards, settings);
  const byTensor = new Map(selection.layers.map((layer) => [layer.tensor.name, layer]));
  return { model, selection, shards: model.shards.map((shard) => planShard(shard, byTensor)) };
}
