/** Opens a model or a pipeline and plans a run on it, as plain data. */

import type { CheckpointPlan } from "../format/checkpoint_format.ts";
import { CHECKPOINT_FORMATS } from "../format/formats.ts";
import { type Model, modelBytes } from "../model/open_model.ts";
import { openSource, type Source } from "../model/open_pipeline.ts";
import { type Selection, selectLayers } from "../plan/select_layers.ts";
import { checkSettings } from "../settings/check_settings.ts";
import type { QuantizeSettings } from "../settings/settings.ts";

/** A model, and what a run would do with it. */
export interface PartPlan {
  /** Its folder in a pipeline; empty for a model of its own. */
  component: string;
  /** The source. */
  model: Model;
  /** What is quantized and what is not. */
  selection: Selection;
  /** The output. */
  checkpoint: CheckpointPlan;
}

/** What a run with given settings would do. Nothing has been written yet. */
export interface RunPlan {
  /** The source. */
  source: Source;
  /** Its models that are quantized, at least one. */
  parts: PartPlan[];
}

/**
 * Opens a model and plans a run, whether or not the run would be refused.
 *
 * @param path The model directory, or that of a pipeline.
 * @throws {BadInputError} A setting is one that no flag could give, the model is malformed, or the format
 *   cannot hold it.
 */
export function openPlan(path: string, settings: QuantizeSettings): RunPlan {
  checkSettings(settings);
  const format = CHECKPOINT_FORMATS[settings.format];
  const source = openSource(path, settings.components);
  const parts = source.parts.map(({ component, model }) => {
    const selection = selectLayers(model.shards, settings, format.storage);
    return { component, model, selection, checkpoint: format.plan(model, selection) };
  });
  return { source, parts };
}

/** Bytes of the weights that a run reads. */
export function sourceBytes({ parts }: Pick<RunPlan, "parts">): number {
  return parts.reduce((size, { model }) => size + modelBytes(model), 0);
}

/** Bytes of the weight files of a checkpoint. */
export function bytesOfFiles({ files }: CheckpointPlan): number {
  return files.reduce((size, { header }) => size + header.byteLength, 0);
}

/** The name of a layer or tensor in what is said of a run. */
export function fullName(component: string, name: string): string {
  return component === "" ? name : `${component}/${name}`;
}
