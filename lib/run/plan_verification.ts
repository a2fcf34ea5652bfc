/** Matches a written checkpoint with the model or pipeline it was made from; reads headers only. */

import { join } from "node:path";
import { describeIoError } from "../base/describe_io_error.ts";
import { disk } from "../base/disk.ts";
import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { StoredTensor, WrittenCopy, WrittenLayer } from "../format/checkpoint_format.ts";
import { openCheckpoint } from "../format/open_checkpoint.ts";
import { placeTensors } from "../format/read_tensors.ts";
import { listModelFiles } from "../model/list_model_files.ts";
import { type Model, modelBytes, modelName } from "../model/open_model.ts";
import { folderOf, isPipeline, openSource, PIPELINE_INDEX } from "../model/open_pipeline.ts";
import { fullName } from "../plan/plan_layer.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { FilePlace, FormatName } from "../types.ts";
import { OUTPUT_MARK } from "./check_output.ts";
import { readTimeGroups } from "./read_time_groups.ts";

/** A checkpoint and its model, matched tensor by tensor. */
export interface VerificationPlan {
  /** Name of the checkpoint. */
  name: string;
  /** Its format. */
  format: FormatName;
  /** Bytes of its weight files. */
  byteLength: number;
  /** Bytes of the model that are looked at. */
  sourceBytes: number;
  /** Quantized layers and the weights they stand for, in the order of the files. */
  layers: { name: string; layer: WrittenLayer; original: StoredTensor }[];
  /** Tensors that have to be equal. */
  copies: { written: WrittenCopy; original: StoredTensor }[];
  /** Files of a pipeline's other components, which have to be equal. */
  files: { name: string; byteLength: number; source: FilePlace; copy: FilePlace }[];
  /** Layers with a schedule; `null` where no schedules are there. */
  scheduleCount: number | null;
}

/**
 * Plans a verification.
 *
 * @throws {BadInputError} The checkpoint is malformed, or does not hold the model's tensors.
 */
export function planVerification(checkpointPath: string, modelPath: string): VerificationPlan {
  const listing = listModelFiles(checkpointPath);
  const original = listModelFiles(modelPath);
  if (isPipeline(listing) !== isPipeline(original)) {
    const [one, other] = isPipeline(listing) ? ["checkpoint", "model"] : ["model", "checkpoint"];
    throw new BadInputError(
      `Cannot verify ${quote(checkpointPath)} against ${
        quote(modelPath)
      }: the ${one} is a pipeline, the ` +
        `${other} is not: give both as a whole, or the same component of both`,
    );
  }
  // What was quantized before is one of the files that have to be equal.
  const before = new Set(original.sideFiles);
  const components = isPipeline(listing)
    ? listing.sideFiles.flatMap((name) =>
      name.endsWith(`/${OUTPUT_MARK}`) && !before.has(name) ? [folderOf(name)] : []
    )
    : [];
  if (isPipeline(listing) && components.length === 0) {
    throw new BadInputError(
      `Cannot verify the pipeline ${
        quote(checkpointPath)
      }: none of its folders holds ${OUTPUT_MARK}, ` +
        "so none is quantized",
    );
  }
  const source = openSource(modelPath, components);
  const plan: VerificationPlan = {
    name: modelName(listing.directory),
    format: "compressed-tensors",
    byteLength: 0,
    sourceBytes: 0,
    layers: [],
    copies: [],
    files: [],
    scheduleCount: null,
  };
  for (const { component, model } of source.parts) {
    addPart(plan, component, join(checkpointPath, component), model);
  }
  // What else lies at its top, such as a model card, may be written anew.
  const others = isPipeline(listing)
    ? source.sideFiles.filter((name) => name.includes("/") || name === PIPELINE_INDEX)
    : [];
  for (const name of others) {
    const paths = [join(source.directory, name), join(listing.directory, name)] as const;
    const [own, copy] = paths.map((path) => ({ path, label: name, begin: 0 }));
    const sizes = paths.map((path) => sizeOf(path, name));
    if (sizes[0] !== sizes[1]) {
      throw new BadInputError(
        `Verification failed: the file ${quote(name)} has ${sizes[1]} bytes, the model's ${
          sizes[0]
        }`,
      );
    }
    plan.files.push({ name, byteLength: sizes[0]!, source: own!, copy: copy! });
    plan.sourceBytes += sizes[0]!;
  }
  return plan;
}

/** Matches the tensors of one model. */
function addPart(
  plan: VerificationPlan,
  component: string,
  directory: string,
  model: Model,
): void {
  const checkpoint = openCheckpoint(directory);
  const originals = placeTensors(model);
  const known = new Set<string>();
  for (const original of originals.values()) {
    const { tensor } = original;
    for (const name of checkpoint.partsOf(tensor.name)) known.add(name);
    const found = checkpoint.find(tensor);
    if ("layer" in found) {
      const { layer } = found;
      plan.layers.push({ name: fullName(component, layer.name), layer, original });
    } else {
      checkAlike(tensor, found);
      plan.copies.push({ written: found, original });
    }
  }
  for (const name of checkpoint.tensors.keys()) {
    if (known.has(name)) continue;
    throw new BadInputError(`Verification failed: the model has no tensor ${quote(name)}`);
  }
  plan.format = checkpoint.format;
  plan.byteLength += checkpoint.byteLength;
  plan.sourceBytes += modelBytes(model);
  const schedules = readTimeGroups(directory);
  if (schedules === undefined) return;
  const names = new Set(plan.layers.map(({ name }) => name));
  const stranger = schedules.layers.find(({ name }) => !names.has(fullName(component, name)));
  if (stranger !== undefined) {
    throw new BadInputError(
      `Verification failed: ${quote(OUTPUT_MARK)} has a schedule of ${quote(stranger.name)}, ` +
        "which is no quantized layer",
    );
  }
  plan.scheduleCount = (plan.scheduleCount ?? 0) + schedules.layers.length;
}

/** A copy has the dtype and the shape of the original, or the wider dtype. */
function checkAlike(original: TensorInfo, { copy: { tensor }, widen }: WrittenCopy): void {
  const describe = ({ dtype, shape }: Pick<TensorInfo, "dtype" | "shape">) => `${dtype} [${shape}]`;
  const expected = { ...original, dtype: widen === undefined ? original.dtype : "F32" };
  if (describe(expected) === describe(tensor)) return;
  throw new BadInputError(
    `Verification failed: tensor ${quote(original.name)} is ${describe(tensor)}, ` +
      `the model has ${describe(original)}`,
  );
}

function sizeOf(path: string, name: string): number {
  try {
    return disk.statSync(path).size;
  } catch (error) {
    throw new BadInputError(
      `Verification failed: the file ${quote(name)}: ${describeIoError(error)}`,
    );
  }
}
