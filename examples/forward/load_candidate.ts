/** Loads what is judged: the weights of a checkpoint, and how it quantizes the inputs of layers. */

import { BadInputError } from "../../lib/base/errors.ts";
import { quote } from "../../lib/base/text.ts";
import { type InputSchedules, readTimeGroups } from "../../lib/run/read_time_groups.ts";
import { loadWeights, type Weights } from "./load_weights.ts";

/**
 * What of a checkpoint is judged: `weights`, layers being fed what they are fed, `activations`, the inputs of its
 * layers being quantized as it stores, and the weights those of the original, or `both`.
 */
export type JudgedPart = "weights" | "activations" | "both";

/** A model as it is run. */
export interface RunModel {
  /** By name. */
  weights: Weights;
  /** How inputs of layers are quantized; absent: they are not. */
  activations?: InputSchedules;
}

/**
 * Loads a checkpoint, or a part of it and the rest of its original.
 *
 * @param directory The checkpoint's; or a model's, which quantizes nothing.
 * @param modelDirectory The model that it was made from.
 * @param original The weights of this model.
 * @throws {BadInputError} It is no model, its quantized layers or its schedules are malformed, or its activations
 *   are asked for alone where it quantizes none.
 */
export async function loadCandidate(
  directory: string,
  modelDirectory: string,
  original: Weights,
  part: JudgedPart,
): Promise<RunModel> {
  const weights = part === "activations" ? original : await loadWeights(directory, modelDirectory);
  if (part === "weights") return { weights };
  const activations = readTimeGroups(directory)?.inputs;
  if (activations !== undefined) return { weights, activations };
  if (part === "both") return { weights };
  throw new BadInputError(
    `Cannot judge the activations of ${quote(directory)}: it quantizes none; judge its weights, ` +
      "or quantize with --activation-bits",
  );
}
