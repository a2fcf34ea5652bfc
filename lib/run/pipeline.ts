/**
 * The stages in order: open, select, plan, quantize, score, report, write.
 * Read this file first; it is the only one that knows the order.
 */

import { join } from "node:path";
import { checkpointBytes } from "../format/compressed_tensors/plan_checkpoint.ts";
import {
  appendEntry,
  describeQuantization,
} from "../format/compressed_tensors/describe_quantization.ts";
import type { Backend } from "../jobs/backend.ts";
import { openBackend } from "../jobs/open_backend.ts";
import { checkUnchanged, countParameters, modelBytes } from "../model/open_model.ts";
import { buildReport, type Report } from "../report/build_report.ts";
import { writeWhole } from "../safetensors/write.ts";
import type { QuantizeSettings } from "../settings.ts";
import { checkPlan } from "./check_plan.ts";
import { openPlan, type RunPlan } from "./plan_run.ts";
import {
  checkOutput,
  OUTPUT_MARK,
  pendingDirectory,
  type PendingOutput,
} from "./pending_output.ts";
import { refuseAborted, settle, stopOnAbort } from "./stop_on_abort.ts";
import { checkWritten, copySideFiles, formatIndex } from "./write_checkpoint.ts";
import { writeShards } from "./write_shards.ts";
import { encodeTimeGroups } from "./encode_time_groups.ts";

/** What a run tells its caller while it works, and what ends it. */
export interface RunHooks {
  /**
   * Work done since the last call, in source bytes, and the tensor finished last. May wait, or throw
   * to stop the run.
   */
  onProgress?: (tensor: string, bytes: number) => Promise<void>;
  /** A line for the log. */
  onLog?: (line: string) => void;
  /** Ends the run at once, whatever it waits for, with an `InterruptedError`. */
  signal?: AbortSignal;
}

/**
 * Quantizes a model into a directory in the making; the caller adds its report and commits.
 *
 * @param output From {@linkcode pendingDirectory}.
 * @returns The report of the run.
 * @throws {BadInputError} A weight cannot be quantized, or a file cannot be read or written.
 * @throws {InterruptedError} The signal was heard.
 */
export async function runPlan(
  plan: RunPlan,
  settings: QuantizeSettings,
  output: PendingOutput,
  hooks: RunHooks = {},
): Promise<Report> {
  const start = performance.now();
  const { model, selection, shards } = plan;
  const { signal } = hooks;
  refuseAborted(signal);
  let finished = "";
  const opening = openBackend(settings.backend, modelBytes(model), {
    onBytes: (bytes) => hooks.onProgress?.(finished, bytes),
  });
  const filling = opening.then(fill);
  try {
    return await stopOnAbort(signal, filling);
  } finally {
    // A backend that is still being opened is closed when it comes.
    const closing = opening.then((backend) => backend.close(), () => {});
    await settle(Promise.allSettled([closing, filling]));
  }

  async function fill(backend: Backend): Promise<Report> {
    const records = await writeShards(plan, output.path, backend, settings, (tensor, line) => {
      finished = tensor;
      if (line !== undefined) hooks.onLog?.(line);
    });
    checkUnchanged(model);
    hooks.onLog?.(`Backend: ${backend.name}, ${backend.description}`);
    const report = buildReport({
      modelName: model.name,
      sourceBytes: modelBytes(model),
      parameterCount: countParameters(model),
      records,
      skipped: selection.skipped,
      settings,
      backend: backend.name,
      outputBytes: checkpointBytes(shards),
      elapsedSeconds: () => (performance.now() - start) / 1000,
    });
    await write(OUTPUT_MARK, encodeTimeGroups(records, report.source, report.phase));
    const quantization = describeQuantization(selection.layers, selection.skipped);
    const config = appendEntry(model.config?.text, "quantization_config", quantization);
    await write("config.json", new TextEncoder().encode(config));
    if (model.index !== undefined) {
      const index = formatIndex(model.index, shards);
      await write(model.index.name, new TextEncoder().encode(index));
    }
    await copySideFiles(model, output.path, signal);
    checkWritten(output.path, shards);
    return report;
  }

  function write(name: string, bytes: Uint8Array): Promise<void> {
    return writeWhole(join(output.path, name), name, bytes);
  }
}

/**
 * Quantizes a model directory into another one.
 *
 * @param modelPath The source: a Hugging Face style directory with safetensors weights.
 * @param outputPath The target: must not exist, or be empty, or with `overwrite` an earlier output.
 * @throws {BadInputError} The model or the output cannot be used; nothing has been written then.
 * @throws {InterruptedError} The signal was heard; nothing has been written then.
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
    await output.discard();
  }
}
