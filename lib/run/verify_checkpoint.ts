/** Decodes a written checkpoint from disk and measures it against the model it was made from. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import {
  checkShape,
  findLayer,
  type PackedLayer,
  placeTensors,
  readParams,
  readWidths,
  type StoredTensor,
} from "../format/compressed_tensors/decode_layer.ts";
import { packedBytes, wholeWordRows } from "../compute/pack_codes.ts";
import type { Backend } from "../jobs/backend.ts";
import { SLICE_BYTES } from "../jobs/desk.ts";
import { openBackend } from "../jobs/open_backend.ts";
import { type OpenFiles, openFiles } from "../jobs/open_files.ts";
import { type Model, modelBytes, openModel } from "../model/open_model.ts";
import { addSums, areMeasured, measureQuality, type Quality } from "../params/measure_quality.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import type { QualitySums } from "../types.ts";
import type { RunHooks } from "./pipeline.ts";
import { runTasks, type Task } from "./run_tasks.ts";
import { stopOnAbort } from "./stop_on_abort.ts";

/** Bytes of a copy compared by one worker. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Quality of a checkpoint as decoded from disk. */
export interface Verification extends Quality {
  /** Name of the checkpoint. */
  model_name: string;
  /** Quality of each quantized layer, in the order of the files. */
  layers: ({ name: string } & Quality)[];
  /** Tensors that are equal to the model's, byte for byte. */
  copied_tensor_count: number;
}

/** A checkpoint and its model, matched tensor by tensor. */
export interface VerificationPlan {
  /** The checkpoint. */
  checkpoint: Model;
  /** The model. */
  model: Model;
  /** Quantized layers and the weights they stand for, in the order of the files. */
  layers: { layer: PackedLayer; original: StoredTensor }[];
  /** Tensors that have to be equal. */
  copies: { original: StoredTensor; copy: StoredTensor }[];
}

/**
 * Matches a checkpoint with the model it was made from; reads headers only.
 *
 * @throws {BadInputError} The checkpoint is malformed, or does not hold the model's tensors.
 */
export function planVerification(checkpointPath: string, modelPath: string): VerificationPlan {
  const checkpoint = openModel(checkpointPath);
  const model = openModel(modelPath);
  const bitsOf = readWidths(checkpoint);
  const written = placeTensors(checkpoint);
  const originals = placeTensors(model);
  const plan: VerificationPlan = { checkpoint, model, layers: [], copies: [] };
  for (const [name, original] of originals) {
    const copy = written.get(name);
    if (copy === undefined) {
      plan.layers.push({ layer: findLayer(original.tensor, written, bitsOf), original });
    } else {
      checkAlike(original.tensor, copy.tensor);
      plan.copies.push({ original, copy });
    }
  }
  refuseStrangers(written, originals);
  return plan;
}

/**
 * Verifies a checkpoint.
 *
 * @param checkpointPath Directory written by a run.
 * @param modelPath The model it was made from.
 * @throws {BadInputError} The checkpoint is malformed, or does not hold the model's tensors.
 * @throws {InterruptedError} The signal was heard.
 */
export function verifyCheckpoint(
  checkpointPath: string,
  modelPath: string,
  hooks: Pick<RunHooks, "onProgress" | "signal"> = {},
): Promise<Verification> {
  return runVerification(planVerification(checkpointPath, modelPath), hooks);
}

/** Runs a planned verification, see {@linkcode verifyCheckpoint}. */
export async function runVerification(
  plan: VerificationPlan,
  { onProgress, signal }: Pick<RunHooks, "onProgress" | "signal"> = {},
): Promise<Verification> {
  const { checkpoint, model, layers, copies } = plan;
  let finished = "";
  // WebAssembly whatever the model was quantized with: the fastest, and no driver of a device to hang in.
  const backend = await openBackend("wasm", modelBytes(model), {
    onBytes: (bytes) => onProgress?.(finished, bytes),
  });
  const files = openFiles(false);
  const found = new Map<PackedLayer, QualitySums>();
  const tasks = [
    ...layers.map(({ layer, original }): Task => ({
      bytes: bytesOf(original),
      run: async () => {
        await checkShape(layer, files);
        const sums = await measureLayer(layer, original, backend, files);
        checkMeasured(layer, sums);
        found.set(layer, sums);
        finished = layer.name;
      },
    })),
    ...copies.map(({ original, copy }): Task => ({
      bytes: bytesOf(original),
      run: async () => {
        await compareTensor(original, copy, backend);
        finished = original.tensor.name;
      },
    })),
  ];
  try {
    await stopOnAbort(signal, runTasks(tasks));
  } finally {
    backend.close();
    files.close();
  }
  const sums = layers.map(({ layer }) => found.get(layer)!);
  return {
    model_name: checkpoint.name,
    ...measureQuality(addSums(sums)),
    layers: layers.map(({ layer: { name } }, i) => ({ name, ...measureQuality(sums[i]!) })),
    copied_tensor_count: copies.length,
  };
}

function bytesOf({ tensor }: StoredTensor): number {
  return tensor.end - tensor.begin;
}

/** The energies of a layer, slice by slice, each as large as several workers can share. */
async function measureLayer(
  layer: PackedLayer,
  original: StoredTensor,
  backend: Backend,
  files: OpenFiles,
): Promise<QualitySums> {
  const { rows, columns, dtype, bits, blocks, packed } = layer;
  const width = floatBytes(dtype);
  const most = wholeWordRows(SLICE_BYTES / (columns * width));
  const { place } = original;
  const slices = Array.from({ length: Math.ceil(rows / most) }, async (_, i) => {
    const from = i * most;
    const count = Math.min(most, rows - from);
    return await backend.run({
      verb: "check",
      slice: {
        source: { ...place, begin: place.begin + from * columns * width },
        dtype,
        rows: count,
        columns,
        blockRows: 1,
        blockColumns: columns / blocks,
      },
      bits,
      codes: { ...packed.place, begin: packed.place.begin + from * packedBytes(columns, bits) },
      params: await readParams(layer, from, count, files),
    });
  });
  return addSums(await Promise.all(slices));
}

/** A quality that cannot be computed is no quality: the checkpoint is malformed. */
function checkMeasured({ name, scale }: PackedLayer, sums: QualitySums): void {
  if (areMeasured(sums)) return;
  throw new BadInputError(
    `Verification failed: the quality of tensor ${quote(`${name}.weight`)} in ` +
      `${quote(scale.place.label)} cannot be measured: its weights or scales are no finite numbers`,
  );
}

async function compareTensor(
  { tensor, place }: StoredTensor,
  copy: StoredTensor,
  backend: Backend,
): Promise<void> {
  const size = tensor.end - tensor.begin;
  const pieces = Array.from({ length: Math.ceil(size / PIECE_BYTES) }, (_, i) => i * PIECE_BYTES);
  const found = await Promise.all(pieces.map((at) =>
    backend.run({
      verb: "compare",
      source: { ...place, begin: place.begin + at },
      other: { ...copy.place, begin: copy.place.begin + at },
      byteLength: Math.min(PIECE_BYTES, size - at),
    })
  ));
  const first = found.findIndex((different) => different >= 0);
  if (first < 0) return;
  throw new BadInputError(
    `Verification failed: tensor ${quote(tensor.name)} differs from the model's ` +
      `at byte ${pieces[first]! + found[first]!}`,
  );
}

/** A copy has the dtype and the shape of the original. */
function checkAlike(original: TensorInfo, copy: TensorInfo): void {
  const describe = ({ dtype, shape }: TensorInfo) => `${dtype} [${shape}]`;
  if (describe(original) === describe(copy)) return;
  throw new BadInputError(
    `Verification failed: tensor ${quote(original.name)} is ${describe(copy)}, ` +
      `the model has ${describe(original)}`,
  );
}

/** Every tensor of the checkpoint stands for one of the model. */
function refuseStrangers(
  written: ReadonlyMap<string, StoredTensor>,
  originals: ReadonlyMap<string, StoredTensor>,
): void {
  for (const name of written.keys()) {
    const layer = name.replace(/\.weight_(packed|scale|zero_point|shape)$/, ".weight");
    if (originals.has(name) || originals.has(layer)) continue;
    throw new BadInputError(`Verification failed: the model has no tensor ${quote(name)}`);
  }
}
