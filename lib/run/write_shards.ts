/** Fills the weight files of a checkpoint: layers are quantized, everything else is copied. */

import { join } from "node:path";
import { escapeText } from "../base/text.ts";
import {
  encodeParams,
  encodeShape,
  type TensorPart,
} from "../format/compressed_tensors/encode_params.ts";
import { packedNames, packedSize } from "../format/compressed_tensors/plan_checkpoint.ts";
import type { Backend } from "../jobs/backend.ts";
import type { FilePlace } from "../jobs/slice.ts";
import { type LayerRecord, recordLayer } from "../layer/layer_record.ts";
import { quantizeLayer } from "../layer/quantize_layer.ts";
import { keepsParams } from "../layer/quantize_rows.ts";
import type { LayerPlan } from "../plan/plan_layer.ts";
import type { Selection } from "../plan/select_layers.ts";
import type { TensorInfo } from "../safetensors/header.ts";
import { createFile, syncFile, writeParts } from "../safetensors/write.ts";
import type { QuantizeSettings } from "../settings.ts";
import type { RunPlan } from "./plan_run.ts";
import { runTasks, type Task, TASKS_AT_ONCE } from "./run_tasks.ts";

/** Bytes of a copy that one worker makes. */
const COPY_BYTES = 16 * 2 ** 20;

/** Told of each tensor that is done, with a line for the log where it was quantized. */
type OnFinished = (tensor: string, line?: string) => void;

/**
 * Writes all shards.
 *
 * @param directory Gets the files.
 * @returns The finished layers, in the order of the files.
 */
export async function writeShards(
  { model, shards, selection }: RunPlan,
  directory: string,
  backend: Backend,
  settings: QuantizeSettings,
  onFinished: OnFinished,
): Promise<LayerRecord[]> {
  const records = new Map<LayerPlan, LayerRecord>();
  const flusher = createFlusher();
  const tasks: Task[] = [];
  for (const shard of shards) {
    const target = { path: join(directory, shard.name), label: shard.name };
    const { path } = model.shards.find(({ name }) => name === shard.name)!;
    const source = { path, label: shard.name };
    await createFile(target.path, target.label, shard.header.byteLength, shard.header.bytes);
    const place = (name: string) => ({ ...target, begin: shard.header.begins.get(name)! });
    const add = (tensor: TensorInfo, run: () => Promise<void>) =>
      tasks.push({ bytes: tensor.end - tensor.begin, run: () => flusher.watch(target, run) });
    for (const layer of shard.layers) {
      add(layer.tensor, async () => {
        const job = { layer, source, target: place(packedNames(layer.name).packed) };
        const write = (parts: Iterable<TensorPart>) =>
          writeParts(target.path, target.label, placeParts(parts, place));
        await write([encodeShape(layer)]);
        const found = await quantizeLayer(
          job,
          backend,
          settings,
          (params) => write(encodeParams(layer, params)),
        );
        records.set(layer, recordLayer(layer, found, packedSize(layer)));
        onFinished(
          layer.name,
          `Quantized ${escapeText(layer.name)} [${layer.rows}, ${layer.columns}]`,
        );
      });
    }
    for (const tensor of shard.copies) {
      add(tensor, async () => {
        await copyTensor(tensor, source, place(tensor.name), backend);
        onFinished(tensor.name);
      });
    }
  }
  await flusher.during(runTasks(tasks, countLanes(selection, settings)));
  for (const { name } of shards) await syncFile(join(directory, name), name, "all");
  return selection.layers.map((layer) => records.get(layer)!);
}

/** Parts of tensors as parts of the file they are in. */
function* placeParts(
  parts: Iterable<TensorPart>,
  place: (name: string) => FilePlace,
): Generator<{ offset: number; bytes: Uint8Array }> {
  for (const { name, offset, bytes } of parts) yield { offset: place(name).begin + offset, bytes };
}

/** Copies a tensor byte for byte, in pieces that several workers can share. */
async function copyTensor(
  tensor: TensorInfo,
  source: Omit<FilePlace, "begin">,
  target: FilePlace,
  backend: Backend,
): Promise<void> {
  const pieces: Promise<void>[] = [];
  for (let at = tensor.begin; at < tensor.end; at += COPY_BYTES) {
    pieces.push(backend.run({
      verb: "copy",
      source: { ...source, begin: at },
      target: { ...target, begin: target.begin + at - tensor.begin },
      byteLength: Math.min(COPY_BYTES, tensor.end - at),
    }));
  }
  await Promise.all(pieces);
}

/** Blocks of slices whose candidates may be in memory at once: each takes a few kB, in its layer's every time group. */
const RATED_AT_ONCE = 2 ** 12;

/** Blocks whose parameters may be in memory at once, with all that is made of them on the way. */
const KEPT_AT_ONCE = 2 ** 21;

/**
 * How many tasks a run may have under way: few enough that memory stays flat. Of layers cut into many jobs
 * one is enough to keep the workers busy.
 */
function countLanes({ layers }: Selection, settings: QuantizeSettings): number {
  const isRow = settings.granularity === "row";
  if (isRow && !keepsParams(settings)) return TASKS_AT_ONCE;
  const most = layers.reduce((most, { rows, columns, grid }) => {
    return Math.max(most, (isRow ? rows : settings.timeGroups) * columns / grid.blockColumns);
  }, 1);
  const isRated = !isRow && settings.phase === "optimize";
  const room = isRated ? RATED_AT_ONCE : KEPT_AT_ONCE;
  return Math.min(TASKS_AT_ONCE, Math.max(1, Math.floor(room / most)));
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
