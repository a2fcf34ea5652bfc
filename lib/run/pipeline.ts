/**
 * The stages in order: open, select, plan, quantize, score, report, write.
 * Read this file first; it is the only one that knows the order.
 */

import { join } from "node:path";
import type { Backend } from "../jobs/backend.ts";
import { openBackend } from "../jobs/open_backend.ts";
import {
  appendEntry,
  describeQuantization,
} from "../format/compressed_tensors/describe_quantization.ts";
import { BadInputError } from "../base/errors.ts";
import { countNouns, escapeText, quote } from "../base/text.ts";
import { checkUnchanged, type Model, modelBytes, openModel } from "../model/open_model.ts";
import { checkSettings, type QuantizeSettings } from "../settings.ts";
import {
  checkpointBytes,
  packedNames,
  planShard,
  type ShardPlan,
} from "../format/compressed_tensors/plan_checkpoint.ts";
import { quantizeLayer } from "../layer/quantize_layer.ts";
import { buildReport, type Report } from "../report/build_report.ts";
import type { LayerResult } from "../report/report_layer.ts";
import { type ByteSink, createSink, writeWhole } from "../safetensors/write.ts";
import { type Selection, selectLayers } from "../plan/select_layers.ts";
import {
  checkOutput,
  OUTPUT_MARK,
  pendingDirectory,
  type PendingOutput,
} from "./pending_output.ts";
import type { LayerPlan } from "../types.ts";
import {
  checkWritten,
  copySideFiles,
  copyTensor,
  formatIndex,
  writeParams,
  writeText,
} from "./write_checkpoint.ts";
import { encodeTimeGroups } from "./write_time_groups.ts";

/** A model, and what a run with given settings would do with it. Nothing has been written yet. */
export interface RunPlan {
  /** The source. */
  model: Model;
  /** What is quantized and what is not. */
  selection: Selection;
  /** The output shards. */
  shards: ShardPlan[];
}

/** What a run tells its caller while it works. */
export interface RunHooks {
  /**
   * Work done since the last call, in source bytes, and the tensor finished last. May wait, or throw
   * to stop the run.
   */
  onProgress?: (tensor: string, bytes: number) => Promise<void>;
  /** A line for the log. */
  onLog?: (line: string) => void;
  /** A line the user should see. */
  onWarning?: (line: string) => void;
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

/**
 * Checks that a planned run may start.
 *
 * @throws {BadInputError} The model is already quantized, nothing is left to quantize, `strict` forbids
 * it, or a setting is one that no flag could give.
 */
export function checkPlan({ model, selection }: RunPlan, settings: QuantizeSettings): void {
  checkSettings(settings);
  refuseQuantized(model);
  const { layers, skipped } = selection;
  if (layers.length === 0) {
    throw new BadInputError(
      `Nothing to quantize in ${quote(model.name)}: ${
        countNouns(skipped.length, "tensor")
      } left as they ` +
        "are, and isotherm inspect says why: lower --num-time-groups or give --no-default-ignore",
    );
  }
  const fallback = layers.filter((layer) => layer.fallback);
  if (settings.strict && fallback[0] !== undefined) {
    throw new BadInputError(
      `Cannot use --group-size ${settings.groupSize} for ${
        countNouns(fallback.length, "layer")
      }, the first ` +
        `${quote(fallback[0].name)}: it does not divide ${fallback[0].columns} columns: ` +
        "give a divisor, or leave --strict out",
    );
  }
}

function refuseQuantized(model: Model): void {
  const again = "quantizing twice would lose quality: start from the original model";
  // Some tools write the key with null for a model that is not quantized.
  if ((model.config?.entries.get("quantization_config") ?? null) !== null) {
    throw new BadInputError(
      `The model ${quote(model.name)} is already quantized: its config.json has a ` +
        `quantization_config: ${again}`,
    );
  }
  for (const { name, tensors } of model.shards) {
    const packed = tensors.find((tensor) => /\.(weight_packed|qweight)$/.test(tensor.name));
    if (packed === undefined) continue;
    throw new BadInputError(
      `The model ${quote(model.name)} is already quantized: ${quote(name)} holds ` +
        `${quote(packed.name)}: ${again}`,
    );
  }
}

/**
 * Quantizes a model into a directory in the making; the caller adds its report and commits.
 *
 * @param output From {@linkcode pendingDirectory}.
 * @returns The report of the run.
 * @throws {BadInputError} A weight cannot be quantized, or a file cannot be read or written.
 */
export async function runPlan(
  plan: RunPlan,
  settings: QuantizeSettings,
  output: PendingOutput,
  hooks: RunHooks = {},
): Promise<Report> {
  const start = performance.now();
  const { model, selection } = plan;
  let finished = "";
  const backend = await openBackend(settings.backend, modelBytes(model), {
    onBytes: (bytes) => hooks.onProgress?.(finished, bytes),
    onWarning: (line) => hooks.onWarning?.(line),
  });
  let results: LayerResult[];
  try {
    results = await writeShards(plan, output.path, backend, settings, (tensor, line) => {
      finished = tensor;
      if (line !== undefined) hooks.onLog?.(line);
    });
    checkUnchanged(model);
    hooks.onLog?.(`Backend: ${backend.name}, ${backend.description}`);
  } finally {
    backend.close();
  }
  const report = buildReport({
    model,
    selection,
    results,
    settings,
    backend: backend.name,
    outputBytes: checkpointBytes(plan.shards),
    elapsedSeconds: () => (performance.now() - start) / 1000,
  });
  const schedules = encodeTimeGroups(results, report.source, report.phase);
  writeWhole(join(output.path, OUTPUT_MARK), OUTPUT_MARK, schedules);
  const quantization = describeQuantization(selection.layers, selection.skipped);
  const config = appendEntry(model.config?.text, "quantization_config", quantization);
  writeText(output.path, "config.json", config);
  if (model.index !== undefined) {
    writeText(output.path, model.index.name, formatIndex(model.index, plan.shards));
  }
  copySideFiles(model, output.path);
  checkWritten(output.path, plan.shards);
  return report;
}

/** A piece of work of a run, and how much of it there is. */
interface Task {
  bytes: number;
  run: () => Promise<void>;
}

/** Writes all shards, the largest tensors first, so that no worker is left with one at the end. */
async function writeShards(
  { model, shards, selection }: RunPlan,
  directory: string,
  backend: Backend,
  settings: QuantizeSettings,
  onFinished: (tensor: string, line?: string) => void,
): Promise<LayerResult[]> {
  const results = new Map<LayerPlan, LayerResult>();
  const sinks: ByteSink[] = [];
  try {
    const tasks = shards.flatMap((shard) => {
      const { path } = model.shards.find(({ name }) => name === shard.name)!;
      const target = join(directory, shard.name);
      const sink = createSink(target, shard.name, shard.header.byteLength);
      sinks.push(sink);
      sink.write(0, shard.header.bytes);
      const source = { path, label: shard.name };
      const place = (name: string) => ({
        path: target,
        label: shard.name,
        begin: shard.header.begins.get(name)!,
      });
      return [
        ...shard.layers.map((layer): Task => ({
          bytes: layer.tensor.end - layer.tensor.begin,
          run: async () => {
            const job = { layer, source, target: place(packedNames(layer.name).packed) };
            const found = await quantizeLayer(job, backend, settings);
            writeParams(layer, found.schedule, sink, shard.header.begins);
            results.set(layer, { layer, ...found });
            const line = `Quantized ${escapeText(layer.name)} [${layer.rows}, ${layer.columns}]`;
            onFinished(layer.name, line);
          },
        })),
        ...shard.copies.map((tensor): Task => ({
          bytes: tensor.end - tensor.begin,
          run: async () => {
            await copyTensor(tensor, source, place(tensor.name), backend);
            onFinished(tensor.name);
          },
        })),
      ];
    });
    tasks.sort((a, b) => b.bytes - a.bytes);
    await whileFlushing(sinks, runTasks(tasks, countLanes(selection, settings)));
    for (const sink of sinks) sink.finish();
  } finally {
    for (const sink of sinks) sink.close();
  }
  return selection.layers.map((layer) => results.get(layer)!);
}

/**
 * Tasks under way at once: enough that no worker waits, and few enough that what a phase reads twice is
 * still in the page cache the second time.
 */
const TASKS_AT_ONCE = 32;

/** Blocks whose candidates may be in memory at once; each takes a few kB, in its layer's every time group. */
const RATED_AT_ONCE = 4096;

/** How many tasks a run may have under way; two at least, so that one can wait for the other. */
function countLanes({ layers }: Selection, { phase, timeGroups }: QuantizeSettings): number {
  if (phase !== "optimize") return TASKS_AT_ONCE;
  const blocks = layers.reduce((most, { columns, blockColumns }) => {
    return Math.max(most, columns / blockColumns);
  }, 1);
  return Math.min(TASKS_AT_ONCE, Math.max(2, Math.floor(RATED_AT_ONCE / (blocks * timeGroups))));
}

/** Runs tasks in their order; the first that fails ends all. */
async function runTasks(tasks: readonly Task[], count: number): Promise<void> {
  const waiting = tasks.values();
  const lanes = Array.from({ length: count }, async () => {
    for (const task of waiting) await task.run();
  });
  await Promise.all(lanes);
}

/** Milliseconds between two flushes: often enough that the last one has little to do. */
const FLUSH_MS = 20;

/** Puts what is written on the disk while the work goes on, so that the end need not wait for it. */
async function whileFlushing(sinks: readonly ByteSink[], work: Promise<unknown>): Promise<void> {
  const { promise: wake, resolve: stop } = Promise.withResolvers<boolean>();
  const flushing = (async () => {
    for (;;) {
      const timer = setTimeout(() => pauseOver(false), FLUSH_MS);
      const { promise: pause, resolve: pauseOver } = Promise.withResolvers<boolean>();
      const isDone = await Promise.race([wake, pause]);
      clearTimeout(timer);
      if (isDone) return;
      for (const sink of sinks) await sink.flush();
    }
  })();
  await Promise.all([work.finally(() => stop(true)), flushing]);
}

/**
 * Quantizes a model directory into another one.
 *
 * @param modelPath The source: a Hugging Face style directory with safetensors weights.
 * @param outputPath The target: must not exist, or be empty, or with `overwrite` an earlier output.
 * @throws {BadInputError} The model or the output cannot be used; nothing has been written then.
 */
export async function quantizeModel(
  modelPath: string,
  outputPath: string,
  settings: QuantizeSettings & { overwrite?: boolean },
  hooks: RunHooks = {},
): Promise<Report> {
  const plan = openPlan(modelPath, settings);
  checkPlan(plan, settings);
  const target = checkOutput(outputPath, plan.model.directory, settings.overwrite ?? false);
  const output = pendingDirectory(target);
  try {
    const report = await runPlan(plan, settings, output, hooks);
    output.commit();
    return report;
  } finally {
    output.discard();
  }
}
