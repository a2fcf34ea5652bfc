/** Fills the weight files of a checkpoint: layers are quantized, everything else is copied. */

import { join } from "node:path";
import { escapeText } from "../base/text.ts";
import type { Calibration } from "../calibration/calibration.ts";
import type {
  CheckpointFormat,
  StoredCopy,
  StoredLayer,
  TensorPart,
} from "../format/checkpoint_format.ts";
import type { Backend } from "../jobs/backend.ts";
import { openFiles } from "../jobs/open_files.ts";
import { type LayerRecord, recordLayer } from "../layer/layer_record.ts";
import { quantizeLayer } from "../layer/quantize_layer.ts";
import { keepsParams } from "../layer/quantize_rows.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import type { Selection } from "../plan/select_layers.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { createFile, syncFile } from "../safetensors/write.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import type { FilePlace } from "../types.ts";
import type { RowRun } from "../layer/slice_layer.ts";
import type { PartPlan } from "./plan_run.ts";
import { shareInputs } from "./share_inputs.ts";
import { runTasks, TASKS_AT_ONCE } from "./run_tasks.ts";

/** Bytes of a copy that one worker makes. */
const COPY_BYTES = 16 * 2 ** 20;

/** Told of each tensor that is done, with a line for the log where it was quantized. */
type OnFinished = (tensor: string, line?: string) => void;

/** How files are written. */
export interface Writing {
  /** The settings of the run. */
  settings: QuantizeSettings;
  /** What encodes all of a layer but its codes. */
  format: Pick<CheckpointFormat, "encodeConstants" | "encodeParams">;
  /** What is known of the layers' inputs. */
  calibration: Calibration | undefined;
  /** Told of what is done. */
  onFinished: OnFinished;
}

/** A layer to quantize, or some copies to make. */
type Task =
  & { bytes: number; target: Target }
  & (
    | { stored: StoredLayer }
    | { batch: Batch }
  );

/**
 * Writes all weight files of a model.
 *
 * @param directory Gets the files.
 * @returns The finished layers, in the order of the files.
 */
export async function writeFiles(
  { model, checkpoint: { files }, selection }: PartPlan,
  directory: string,
  backend: Backend,
  { settings, format, calibration, onFinished }: Writing,
): Promise<LayerRecord[]> {
  const { encodeConstants, encodeParams } = format;
  const records = new Map<LayerPlan, LayerRecord>();
  const inputs = shareInputs(calibration, selection.layers, settings, backend);
  const flusher = createFlusher();
  const targets = openFiles(false);
  const sources = new Map(model.shards.map(({ name, path }) => [name, { path, label: name }]));
  const tasks: Task[] = [];
  for (const { name, head, byteLength, layers, copies } of files) {
    const target = { path: join(directory, name), label: name };
    await createFile(target.path, target.label, byteLength, head);
    for (const stored of layers) tasks.push({ bytes: bytesOf(stored.layer), target, stored });
    for (const batch of joinSmall(copies)) {
      tasks.push({ bytes: batch.reduce((sum, copy) => sum + bytesOf(copy), 0), target, batch });
    }
  }
  const quantize = async (stored: StoredLayer, target: Target) => {
    const { layer, begins, packing, headRows, byteLength } = stored;
    const place = (tensor: number) => ({ ...target, begin: begins[tensor]! });
    const write = async (parts: Iterable<TensorPart>) => {
      for (const { tensor, offset, bytes } of parts) {
        await targets.write(place(tensor), offset, bytes);
      }
    };
    await write(encodeConstants(layer));
    await inputs.lend(layer, async (known) => {
      const source = sources.get(layer.shard)!;
      const found = await quantizeLayer(
        { layer, source, target: place(0), packing, headRows, inputs: known },
        backend,
        settings,
        (params) => write(encodeParams(layer, params)),
      );
      records.set(layer, recordLayer(layer, found, byteLength, known));
    });
    const { name, rows, columns } = layer;
    onFinished(name, `Quantized ${escapeText(name)} [${rows}, ${columns}]`);
  };
  const copy = async (batch: Batch, target: Target) => {
    const [first] = batch;
    const source = sources.get(first.shard)!;
    if (batch.length > 1) await copySmall(batch, source, target, backend);
    else await copyTensor(first, source, target, backend);
    for (const { tensor } of batch) onFinished(tensor.name);
  };
  const run = (task: Task) =>
    flusher.watch(
      task.target,
      () => "batch" in task ? copy(task.batch, task.target) : quantize(task.stored, task.target),
    );
  const lanes = countLanes(selection, settings);
  // Of each layer at work the inputs are in memory.
  const most = calibration === undefined ? lanes : Math.min(lanes, CALIBRATED_AT_ONCE);
  try {
    await flusher.during(runTasks(tasks, run, most));
  } finally {
    targets.close();
  }
  for (const { name } of files) await syncFile(join(directory, name), name, "all");
  return selection.layers.map((layer) => records.get(layer)!);
}

/** Bytes of the source tensor. */
function bytesOf({ tensor: { begin, end } }: { tensor: TensorInfo }): number {
  return end - begin;
}

/** Largest tensor that shares a job with others, in bytes, and most of them in one. */
const SMALL_BYTES = 2 ** 16;
const MOST_JOINED = 2 ** 10;

type Batch = [StoredCopy, ...StoredCopy[]];

/** Copies in their order, small ones of one shard together: by themselves each would cost a job. */
function joinSmall(copies: readonly StoredCopy[]): Batch[] {
  const batches: Batch[] = [];
  const isSmall = (copy: StoredCopy) =>
    bytesOf(copy) <= SMALL_BYTES && copy.headRows === undefined && copy.widen === undefined;
  for (const copy of copies) {
    const last = batches.at(-1);
    const joins = last !== undefined && last.length < MOST_JOINED &&
      last[0].shard === copy.shard && isSmall(last[0]) && isSmall(copy);
    if (joins) last.push(copy);
    else batches.push([copy]);
  }
  return batches;
}

async function copySmall(
  batch: Batch,
  source: Target,
  target: Target,
  backend: Backend,
): Promise<void> {
  const pieces = batch.map((copy) => ({
    from: copy.tensor.begin,
    to: copy.begin,
    byteLength: bytesOf(copy),
  }));
  const [from, to] = [{ ...source, begin: 0 }, { ...target, begin: 0 }];
  await backend.run({ verb: "copy", source: from, target: to, pieces });
}

/** Copies a tensor, in pieces that several workers can share. */
async function copyTensor(
  copy: StoredCopy,
  source: Target,
  target: Target,
  backend: Backend,
): Promise<void> {
  const { tensor, headRows, widen } = copy;
  const [from, to] = [{ ...source, begin: tensor.begin }, { ...target, begin: copy.begin }];
  if (headRows === undefined && widen === undefined) {
    await copyBytes(from, to, bytesOf(copy), backend);
    return;
  }
  const rows = rowsOf(tensor);
  const place = { source: from, target: to, headRows, widen, rowBytes: rows.rowBytes };
  await Promise.all(
    cutEvenly(rows.count, Math.max(1, Math.floor(COPY_BYTES / rows.rowBytes)))
      .map(({ from, to }) => backend.run({ verb: "rewriteRows", ...place, from, to })),
  );
}

/** Copies bytes as they are, in pieces that several workers can share. */
export async function copyBytes(
  source: FilePlace,
  target: FilePlace,
  byteLength: number,
  backend: Backend,
): Promise<void> {
  await Promise.all(
    cutEvenly(byteLength, COPY_BYTES).map(({ from, to }) =>
      backend.run({
        verb: "copy",
        source,
        target,
        pieces: [{ from, to: from, byteLength: to - from }],
      })
    ),
  );
}

/** Runs of at most `most`, one behind the other. */
export function cutEvenly(count: number, most: number): RowRun[] {
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => ({
    from: i * most,
    to: Math.min(count, (i + 1) * most),
  }));
}

/** The rows of a tensor that is copied: those of its first dimension. */
export function rowsOf({ shape, begin, end }: TensorInfo): { count: number; rowBytes: number } {
  const count = Math.max(1, shape[0] ?? 1);
  return { count, rowBytes: (end - begin) / count };
}

/** Layers at work at once whose inputs are known: a few megabytes each, twice the sketch. */
const CALIBRATED_AT_ONCE = 6;

/**
 * Blocks whose parameters may be in memory at once, with all that is made of them on the way: by slices that is far
 * more, and such a layer is many jobs.
 */
const KEPT_AT_ONCE = { rows: 2 ** 21, slices: 2 ** 15 };

/**
 * How many tasks a run may have under way: few enough that memory stays flat. Of layers cut into many jobs
 * one is enough to keep the workers busy.
 */
function countLanes({ layers }: Selection, settings: QuantizeSettings): number {
  const keepsRows = keepsParams({ ...settings, granularity: "row" });
  const most = layers.reduce((most, { rows, columns, grid }) => {
    const blocks = columns / grid.blockColumns;
    const share = grid.bands !== null
      ? settings.timeGroups * blocks / KEPT_AT_ONCE.slices
      : keepsRows
      ? rows * blocks / KEPT_AT_ONCE.rows
      : 0;
    return Math.max(most, share);
  }, 0);
  return most === 0 ? TASKS_AT_ONCE : Math.min(TASKS_AT_ONCE, Math.max(1, Math.floor(1 / most)));
}

/** Milliseconds between two flushes: often enough that the last one has little to do. */
const FLUSH_MS = 20;

/** A file that is being filled. */
type Target = Omit<FilePlace, "begin">;

/** Puts what is written on the disk while the work goes on, so that the end need not wait for it. */
interface Flusher {
  /** Does a piece of work on a file, which is flushed meanwhile and once more afterwards. */
  watch(target: Target, work: () => Promise<void>): Promise<void>;
  /** Flushes until the work is done. */
  during(work: Promise<void>): Promise<void>;
}

function createFlusher(): Flusher {
  /** Files with something to flush, and the pieces of work under way on each. */
  const busy = new Map<string, { target: Target; count: number }>();
  async function flush(): Promise<void> {
    for (const [path, { target, count }] of [...busy]) {
      if (count === 0) busy.delete(path);
      await syncFile(path, target.label, "data");
    }
  }
  return {
    async watch(target, work) {
      const entry = busy.get(target.path) ?? { target, count: 0 };
      busy.set(target.path, entry);
      entry.count++;
      await work();
      entry.count--;
    },
    async during(work) {
      const { promise: done, resolve: stop } = Promise.withResolvers<boolean>();
      const flushing = (async () => {
        for (;;) {
          const { promise: pause, resolve: end } = Promise.withResolvers<boolean>();
          const timer = setTimeout(() => end(false), FLUSH_MS);
          const isDone = await Promise.race([done, pause]);
          clearTimeout(timer);
          if (isDone) return;
          await flush();
        }
      })();
      await Promise.all([work.finally(() => stop(true)), flushing]);
    },
  };
}
