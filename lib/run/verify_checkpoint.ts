/** Decodes a written checkpoint from disk and measures it against the model it was made from. */

import { BadInputError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { StoredTensor, WrittenCopy, WrittenLayer } from "../format/checkpoint_format.ts";
import { wholeWordRows } from "../compute/pack_codes.ts";
import type { Backend } from "../jobs/backend.ts";
import { SLICE_BYTES } from "../jobs/desk.ts";
import { openBackend } from "../jobs/open_backend.ts";
import { type OpenFiles, openFiles } from "../jobs/open_files.ts";
import { addSums, areMeasured, measureQuality, type Quality } from "../params/measure_quality.ts";
import { floatBytes } from "../safetensors/dtype.ts";
import type { FilePlace, FormatName, QualitySums } from "../types.ts";
import type { RunHooks } from "./pipeline.ts";
import { planVerification, type VerificationPlan } from "./plan_verification.ts";
import { runTasks } from "./run_tasks.ts";
import { stopOnAbort } from "./stop_on_abort.ts";
import { cutEvenly, rowsOf } from "./write_files.ts";

/** Bytes of a copy compared by one worker. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Quality of a checkpoint as decoded from disk. */
export interface Verification extends Quality {
  /** Name of the checkpoint. */
  model_name: string;
  /** How it is laid out. */
  format: FormatName;
  /** Quality of each quantized layer, in the order of the files. */
  layers: ({ name: string } & Quality)[];
  /** Tensors that are equal to the model's: byte for byte, or value for value where the dtype is wider. */
  copied_tensor_count: number;
  /** Layers with a schedule beside the weights; `null` where no schedules are there. */
  schedule_count: number | null;
}

/**
 * Verifies a checkpoint.
 *
 * @param checkpointPath Directory written by a run.
 * @param modelPath The model it was made from.
 * @throws {BadInputError} The checkpoint is malformed, or does not hold the model's tensors.
 * @throws {InterruptedError} The signal was heard.
 */
export async function verifyCheckpoint(
  checkpointPath: string,
  modelPath: string,
  hooks: Pick<RunHooks, "onProgress" | "signal"> = {},
): Promise<Verification> {
  return await runVerification(planVerification(checkpointPath, modelPath), hooks);
}

/** Runs a planned verification, see {@linkcode verifyCheckpoint}. */
export async function runVerification(
  plan: VerificationPlan,
  { onProgress, signal }: Pick<RunHooks, "onProgress" | "signal"> = {},
): Promise<Verification> {
  const { layers, copies, files: others } = plan;
  let finished = "";
  // WebAssembly whatever the model was quantized with: the fastest, and no driver of a device to hang in.
  const backend = await openBackend("wasm", { work: plan.sourceBytes }, {
    onBytes: (bytes) => onProgress?.(finished, bytes),
  });
  const files = openFiles(false);
  const found = new Map<WrittenLayer, QualitySums>();
  const task = (name: string, bytes: number, work: () => Promise<void>) => ({ name, bytes, work });
  const tasks = [
    ...layers.map(({ name, layer, original }) =>
      task(name, bytesOf(original), async () => {
        await layer.check?.(files);
        const sums = await measureLayer(layer, original, backend, files);
        checkMeasured(layer, sums);
        found.set(layer, sums);
      })
    ),
    ...copies.map(({ original, written }) =>
      task(original.tensor.name, bytesOf(original), () => compareTensor(original, written, backend))
    ),
    ...others.map(({ name, byteLength, source, copy }) =>
      task(name, byteLength, async () => {
        const at = await findDifference(source, copy, byteLength, backend);
        if (at < 0) return;
        throw new BadInputError(
          `Verification failed: the file ${quote(name)} differs from the model's at byte ${at}`,
        );
      })
    ),
  ];
  try {
    const running = runTasks(tasks, async ({ name, work }) => {
      await work();
      finished = name;
    });
    await stopOnAbort(signal, running);
  } finally {
    backend.close();
    files.close();
  }
  const sums = layers.map(({ layer }) => found.get(layer)!);
  return {
    model_name: plan.name,
    format: plan.format,
    ...measureQuality(addSums(sums)),
    layers: layers.map(({ name }, i) => ({ name, ...measureQuality(sums[i]!) })),
    copied_tensor_count: copies.length,
    schedule_count: plan.scheduleCount,
  };
}

function bytesOf({ tensor }: StoredTensor): number {
  return tensor.end - tensor.begin;
}

/** The energies of a layer, slice by slice, each as large as several workers can share. */
async function measureLayer(
  layer: WrittenLayer,
  { place }: StoredTensor,
  backend: Backend,
  files: OpenFiles,
): Promise<QualitySums> {
  const { rows, columns, bits, dtype, blocks, codes, packing, headRows } = layer;
  const rowBytes = columns * floatBytes(dtype);
  const most = wholeWordRows(SLICE_BYTES / rowBytes);
  const slices = cutEvenly(rows, most).map(async ({ from, to }) =>
    await backend.run({
      verb: "check",
      slice: {
        source: { ...place, begin: place.begin + from * rowBytes },
        dtype,
        rows: to - from,
        columns,
        blockRows: 1,
        blockColumns: columns / blocks,
      },
      bits,
      packing,
      headRows,
      codes,
      row: from,
      params: await layer.readParams?.(from, to - from, files),
    })
  );
  return addSums(await Promise.all(slices));
}

/** A quality that cannot be computed is no quality: the checkpoint is malformed. */
function checkMeasured({ name, label }: WrittenLayer, sums: QualitySums): void {
  if (areMeasured(sums)) return;
  throw new BadInputError(
    `Verification failed: the quality of tensor ${quote(`${name}.weight`)} in ${quote(label)} ` +
      "cannot be measured: its weights or scales are no finite numbers",
  );
}

async function compareTensor(
  { tensor, place }: StoredTensor,
  { copy, headRows, widen }: WrittenCopy,
  backend: Backend,
): Promise<void> {
  const fail = (where: string) => {
    throw new BadInputError(
      `Verification failed: tensor ${quote(tensor.name)} differs from the model's at ${where}`,
    );
  };
  if (headRows === undefined && widen === undefined) {
    const at = await findDifference(place, copy.place, tensor.end - tensor.begin, backend);
    if (at >= 0) fail(`byte ${at}`);
    return;
  }
  const { count, rowBytes } = rowsOf(tensor);
  const places = { source: place, target: copy.place, headRows, widen, rowBytes };
  const found = await Promise.all(
    cutEvenly(count, Math.max(1, Math.floor(PIECE_BYTES / rowBytes)))
      .map(({ from, to }) => backend.run({ verb: "compareRows", ...places, from, to })),
  );
  const row = found.find((different) => different >= 0);
  if (row !== undefined) fail(`row ${row}`);
}

/** The first byte in which two files differ from two places on, or -1. */
async function findDifference(
  source: FilePlace,
  other: FilePlace,
  size: number,
  backend: Backend,
): Promise<number> {
  const pieces = cutEvenly(size, PIECE_BYTES);
  const found = await Promise.all(pieces.map(({ from, to }) =>
    backend.run({
      verb: "compare",
      source: { ...source, begin: source.begin + from },
      other: { ...other, begin: other.begin + from },
      byteLength: to - from,
    })
  ));
  const first = found.findIndex((different) => different >= 0);
  return first < 0 ? -1 : pieces[first]!.from + found[first]!;
}
