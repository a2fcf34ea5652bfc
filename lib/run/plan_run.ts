/** Opens a model or a pipeline and plans a run on it, as plain data. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Calibration } from "../calibration/calibration.ts";
import { matchCalibration, type Mismatch } from "../calibration/match_calibration.ts";
import { openCalibration } from "../calibration/open_calibration.ts";
import { snrWeights } from "../calibration/timestep_weights.ts";
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
  /** What is known of the layers' inputs, where the run is calibrated. */
  calibration: PlannedCalibration | undefined;
}

/** A calibration held against the layers of a run; what it knows of layers that are left as they are is no mismatch. */
export interface PlannedCalibration extends Mismatch {
  /** The file. */
  file: Calibration;
  /** Layers of the run of which there are statistics, in its order, each name once. */
  covered: string[];
  /** Those of them whose errors cannot be compensated: there is no sketch of their inputs. */
  unsketched: string[];
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
  return { source, parts, calibration: planCalibration(settings, parts) };
}

/** Opens the calibration of a run; names in it are those of layers in their own model. */
function planCalibration(
  { calibration: path, timestepWeights }: QuantizeSettings,
  parts: readonly PartPlan[],
): PlannedCalibration | undefined {
  if (path === undefined) return undefined;
  const file = openCalibration(path);
  if (timestepWeights !== undefined && file.segments === 1) {
    throw new BadInputError(
      `Cannot weigh the timesteps of calibration ${
        quote(file.label)
      } anew: it has one segment, in which they ` +
        "are added up already: leave --timestep-weights out, or record segments",
    );
  }
  if (timestepWeights === "snr") snrWeights(file.timesteps);
  const layers = parts.flatMap(({ selection }) => selection.layers);
  const { missing, strange } = matchCalibration(file, layers);
  const skipped = new Set(
    parts.flatMap(({ selection }) => selection.skipped.map(({ name }) => name)),
  );
  const names = [...new Set(layers.map(({ name }) => name))];
  const covered = names.filter((name) => file.layers.has(name));
  return {
    file,
    covered,
    missing,
    unsketched: covered.filter((name) => file.layers.get(name)?.sketch === undefined),
    strange: strange.filter((name) => !skipped.has(`${name}.weight`)),
  };
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
