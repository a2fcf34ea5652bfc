/** Opens a model or a pipeline and plans a run on it, as plain data. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Calibration } from "../calibration/calibration.ts";
import { matchCalibration, type Mismatch } from "../calibration/match_calibration.ts";
import { snrWeights } from "../calibration/timestep_weights.ts";
import type { CheckpointFormat, CheckpointPlan } from "../format/checkpoint_format.ts";
import { loadFormat } from "../format/formats.ts";
import { type Model, modelBytes } from "../model/open_model.ts";
import { openSource, type Source } from "../model/open_pipeline.ts";
import { classifyLayer } from "../plan/classify_layer.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
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
  /** What writes its checkpoint. */
  format: CheckpointFormat;
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
export async function openPlan(path: string, settings: QuantizeSettings): Promise<RunPlan> {
  checkSettings(settings);
  const format = await loadFormat(settings.format);
  const source = openSource(path, settings.components);
  const parts = source.parts.map(({ component, model }) => {
    const selection = selectLayers(model.shards, settings, format.storage);
    return { component, model, selection, checkpoint: format.plan(model, selection) };
  });
  return { source, parts, format, calibration: await planCalibration(settings, parts) };
}

/** Opens the calibration of a run; names in it are those of layers in their own model. */
async function planCalibration(
  { calibration: path, timestepWeights }: QuantizeSettings,
  parts: readonly PartPlan[],
): Promise<PlannedCalibration | undefined> {
  if (path === undefined) return undefined;
  // Few runs are calibrated.
  const { openCalibration } = await import("../calibration/open_calibration.ts");
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
  refuseTwins(file, layers);
  for (const { name, columns } of layers) checkRank(file, name, columns);
  const { missing, strange } = matchCalibration(file, layers);
  const skipped = new Set(
    parts.flatMap(({ selection }) => selection.skipped.map(({ name }) => name)),
  );
  // Which turn the timestep alone into shifts and scales, so that there is little to compensate.
  const isModulation = new Set(
    layers.filter(({ name, rows, columns }) =>
      classifyLayer(name, [rows, columns]) === "modulation"
    )
      .map(({ name }) => name),
  );
  const names = [...new Set(layers.map(({ name }) => name))];
  const covered = names.filter((name) => file.layers.has(name));
  return {
    file,
    covered,
    missing: missing.filter((name) => !isModulation.has(name)),
    unsketched: covered.filter((name) => file.layers.get(name)?.sketch === undefined),
    strange: strange.filter((name) => !skipped.has(`${name}.weight`)),
  };
}

/** A file says of a name what is true in one model: two with the same layers see other inputs. */
function refuseTwins({ label, layers: known }: Calibration, layers: readonly LayerPlan[]): void {
  const seen = new Set<string>();
  for (const { name } of layers) {
    if (seen.has(name) && known.has(name)) {
      throw new BadInputError(
        `Cannot use calibration ${
          quote(label)
        } for several components: more than one has a layer ` +
          `${quote(name)}: quantize them one by one with --component`,
      );
    }
    seen.add(name);
  }
}

/** Most bytes that a worker holds of a layer's sketch and of what is made of it. */
const MAX_SKETCH_BYTES = 2 ** 30;

/**
 * Checks that a worker has room for the sketch of a layer.
 *
 * @throws {BadInputError} It takes too much; the message says which rank would do.
 */
export function checkRank(
  { label, layers }: Pick<Calibration, "label" | "layers">,
  name: string,
  columns: number,
): void {
  const { rank = 0, segments = 1 } = layers.get(name) ?? {};
  const bytes = columns * rank * 4;
  const all = bytes * (segments === 1 ? 2 : 2 + segments);
  if (all <= MAX_SKETCH_BYTES) return;
  const most = Math.floor(rank * MAX_SKETCH_BYTES / all);
  throw new BadInputError(
    `Cannot use calibration ${quote(label)}: the sketch of ${
      quote(name)
    } has rank ${rank}, which takes ` +
      `${(all / 1e9).toFixed(1)} GB in each worker: record it with a rank of at most ${most}`,
  );
}

/** Bytes of the weights that a run reads. */
export function sourceBytes({ parts }: Pick<RunPlan, "parts">): number {
  return parts.reduce((size, { model }) => size + modelBytes(model), 0);
}

/** Source bytes that are quantized by their ranges in the time that phase optimize takes for a block of a time group. */
const RATED_BYTES = 2 ** 14;

/**
 * Memory of phase optimize by slices, in MB: what it may take, and what it takes by itself, in each worker, and for a
 * million blocks of the time groups of a layer. Measured, see docs/speed.md.
 */
const RATING_MB = { most: 400, own: 190, worker: 28, millionBlocks: 34 };

/** What choosing parameters by slices takes. */
export interface RatingCost {
  /** Source bytes that take as long. */
  bytes: number;
  /** Workers that have room, at least 1. */
  workers: number;
}

/** What phase optimize by slices takes for the blocks that it chooses parameters of; others have none. */
export function ratingCost(
  { parts }: Pick<RunPlan, "parts">,
  { phase }: Pick<QuantizeSettings, "phase">,
): RatingCost {
  let [blocks, most] = [0, 0];
  for (const { selection } of phase === "optimize" ? parts : []) {
    for (const { grid: { bands, blockColumns }, columns } of selection.layers) {
      const own = bands === null ? 0 : (bands.length - 1) * columns / blockColumns;
      blocks += own;
      most = Math.max(most, own);
    }
  }
  const { most: room, own, worker, millionBlocks } = RATING_MB;
  const workers = Math.floor((room - own - millionBlocks * most / 1e6) / worker);
  return { bytes: blocks * RATED_BYTES, workers: blocks === 0 ? Infinity : Math.max(1, workers) };
}

/** Bytes of the weight files of a checkpoint. */
export function bytesOfFiles({ files }: CheckpointPlan): number {
  return files.reduce((size, { byteLength }) => size + byteLength, 0);
}
