/**
 * The stages in order: open, select, plan, quantize, score, report, write.
 * Read this file first; it is the only one that knows the order.
 */

import { join } from "node:path";
import { measureDrift } from "../calibration/measure_drift.ts";
import type { Backend } from "../jobs/backend.ts";
import { openBackend } from "../jobs/open_backend.ts";
import type { ActivationRecords } from "../layer/activation_record.ts";
import type { LayerRecord } from "../layer/layer_record.ts";
import { checkUnchanged } from "../model/check_unchanged.ts";
import { countParameters, modelBytes } from "../model/open_model.ts";
import { fullName } from "../plan/plan_layer.ts";
import { buildReport, type Report } from "../report/build_report.ts";
import type { RunCalibration } from "../report/report_calibration.ts";
import { makeDirectory, writePieces } from "../safetensors/write.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import { checkPlan } from "./check_plan.ts";
import { checkSpace } from "./check_space.ts";
import { encodeTimeGroups } from "./encode_time_groups.ts";
import { checkOutput, OUTPUT_MARK } from "./check_output.ts";
import { pendingDirectory, repairOutputs } from "./pending_output.ts";
import { commitAll, type PendingOutput } from "./put_in_place.ts";
import {
  bytesOfFiles,
  openPlan,
  type PartPlan,
  type PlannedCalibration,
  ratingCost,
  type RunPlan,
  sourceBytes,
} from "./plan_run.ts";
import { histogramBytes, planActivations } from "./plan_activations.ts";
import { hearSignals, refuseAborted, settle, stopOnAbort } from "./stop_on_abort.ts";
import { takeSideFiles } from "./take_side_files.ts";
import { checkWritten, writeConfig } from "./write_checkpoint.ts";
import { writeFiles } from "./write_files.ts";

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
  settings: QuantizeSettings & { link?: boolean },
  output: PendingOutput,
  hooks: RunHooks = {},
): Promise<Report> {
  const start = performance.now();
  const { source, parts } = plan;
  const { signal } = hooks;
  refuseAborted(signal);
  let finished = "";
  const { bytes, workers } = ratingCost(plan, settings);
  const work = sourceBytes(plan) + bytes + histogramBytes(plan, settings);
  const opening = openBackend(settings.backend, { work, workers }, {
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
    const records: LayerRecord[][] = [];
    const calibration = plan.calibration && describeInputs(plan.calibration);
    // Before the work, so that a file that cannot be taken over ends the run then.
    await takeSideFiles(source, output.path, settings.link ?? false, async (name, bytes) => {
      refuseAborted(signal);
      await hooks.onProgress?.(name, bytes);
    });
    const activations = await planActivations(plan, settings, backend);
    for (const part of parts) records.push(await fillPart(part, backend, activations));
    hooks.onLog?.(`Backend: ${backend.name}, ${backend.description}`);
    await hearSignals(signal);
    return buildReport({
      modelName: source.name,
      parts: parts.map(({ component, model, selection, checkpoint }, i) => ({
        component,
        sourceBytes: modelBytes(model),
        outputBytes: bytesOfFiles(checkpoint),
        parameterCount: countParameters(model),
        records: records[i]!,
        skipped: selection.skipped,
      })),
      settings,
      calibration,
      activations,
      backend: backend.name,
      elapsedSeconds: () => (performance.now() - start) / 1000,
    });
  }

  async function fillPart(
    part: PartPlan,
    backend: Backend,
    activations: ActivationRecords | undefined,
  ): Promise<LayerRecord[]> {
    const { component, model, checkpoint: { files } } = part;
    const directory = join(output.path, component);
    if (component !== "") await makeDirectory(directory, component);
    const onFinished = (tensor: string, line?: string) => {
      finished = fullName(component, tensor);
      if (line !== undefined) hooks.onLog?.(line);
    };
    // In the other phases it is asked for the inputs' sake alone.
    const calibration = settings.phase === "optimize" ? plan.calibration?.file : undefined;
    const writing = { settings, format: plan.format, calibration, onFinished };
    const records = await writeFiles(part, directory, backend, writing);
    checkUnchanged(model);
    const axis = records[0]?.axis.source ?? "positional";
    const own = activations && inputsOf(component, activations);
    await hearSignals(signal);
    const schedules = encodeTimeGroups(records, axis, settings.phase, own);
    await writePieces(join(directory, OUTPUT_MARK), OUTPUT_MARK, schedules);
    // Given up at once, not when garbage is collected: of very many layers they take tens of megabytes.
    for (const { buffer } of schedules) buffer.transfer(0);
    await writeConfig(part, directory);
    checkWritten(directory, files);
    return records;
  }
}

/** The inputs of a component, its layers by their own names. */
function inputsOf(component: string, { layers, ...all }: ActivationRecords): ActivationRecords {
  if (component === "") return { layers, ...all };
  const prefix = fullName(component, "");
  return {
    ...all,
    layers: layers.filter(({ name }) => name.startsWith(prefix))
      .map((layer) => ({ ...layer, name: layer.name.slice(prefix.length) })),
  };
}

/** What the report says of a calibration. */
function describeInputs({ file, covered }: PlannedCalibration): RunCalibration {
  return { ...file, drift: measureDrift(file, covered) };
}

/**
 * Quantizes a model directory, or that of a pipeline, into another one.
 *
 * @param modelPath The source: a Hugging Face style directory with safetensors weights, or a diffusers
 *   pipeline with its model_index.json.
 * @param outputPath The target: must not exist, or be empty, or with `overwrite` an earlier output. With
 *   `link` the files that are taken over as they are become hard links.
 * @throws {BadInputError} The model or the output cannot be used; nothing has been written then.
 * @throws {InterruptedError} The signal was heard; nothing has been written then.
 */
export async function quantizeModel(
  modelPath: string,
  outputPath: string,
  settings: QuantizeSettings & { overwrite?: boolean; link?: boolean },
  hooks: RunHooks = {},
): Promise<Report> {
  const plan = await openPlan(modelPath, settings);
  checkPlan(plan, settings);
  const repaired = repairOutputs([outputPath]);
  for (const note of repaired) hooks.onLog?.(note);
  const check = () => checkOutput(outputPath, plan.source.directory, settings.overwrite ?? false);
  const target = check();
  await checkSpace(plan, outputPath, target, settings.link ?? false);
  const output = pendingDirectory(target);
  try {
    for (const note of output.notes) if (!repaired.includes(note)) hooks.onLog?.(note);
    // Once more, since another run may have put its own there before this one had the lock.
    check();
    const report = await runPlan(plan, settings, output, hooks);
    await hearSignals(hooks.signal);
    commitAll([output]);
    return report;
  } finally {
    await output.discard();
  }
}
