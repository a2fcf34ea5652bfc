/** Decides, before the work begins, whether a planned run may start. */

import { BadInputError } from "../base/errors.ts";
import { countNouns, quote } from "../base/text.ts";
import type { Model } from "../model/open_model.ts";
import type { Selection } from "../plan/select_layers.ts";
import { describeGroupSize, type QuantizeSettings } from "../settings/settings.ts";
import { checkSideFiles } from "./checkpoint_files.ts";
import { listGaps } from "./list_gaps.ts";
import { knownInputs } from "./plan_activations.ts";
import { OUTPUT_MARK } from "./check_output.ts";
import type { PlannedCalibration, RunPlan } from "./plan_run.ts";
import { describeBlocks, refuseEmpty } from "./refuse_empty.ts";

/**
 * Checks that a planned run may start; its settings were checked when it was planned.
 *
 * @throws {BadInputError} A model is already quantized, nothing is left to quantize, the calibration is
 *   of another model, a file that goes along is in the way of the checkpoint's, or `strict` forbids it.
 */
export function checkPlan(plan: RunPlan, settings: QuantizeSettings): void {
  const { parts, calibration } = plan;
  for (const part of parts) {
    refuseQuantized(part.model);
    if (part.selection.layers.length === 0) refuseEmpty(part, settings);
    checkGroupSize(part.selection, settings);
    if (settings.strict) checkStrictly(part.selection, settings);
  }
  checkSideFiles(plan);
  if (calibration !== undefined) checkCalibration(calibration, settings);
  if (settings.activationBits !== undefined) checkInputs({ parts, calibration }, settings);
}

/** A quantizer of inputs needs their histograms, and a timestep at least for each time group. */
function checkInputs(
  plan: Pick<RunPlan, "parts" | "calibration">,
  { timeGroups, activationBits }: QuantizeSettings,
): void {
  const { label, timesteps } = plan.calibration!.file;
  const { known } = knownInputs(plan);
  if (known.length === 0) {
    throw new BadInputError(
      `Cannot quantize inputs to ${activationBits} bits: calibration ${quote(label)} has ` +
        "histograms of none of the layers: record them, or leave --activation-bits out",
    );
  }
  if (timeGroups <= timesteps.length) return;
  throw new BadInputError(
    `Cannot use --num-time-groups ${timeGroups}: calibration ${quote(label)} has ` +
      `${countNouns(timesteps.length, "timestep")}: give at most that`,
  );
}

/** A calibration of none of the layers is one of another model; `strict` wants it to know all of them. */
function checkCalibration(calibration: PlannedCalibration, settings: QuantizeSettings): void {
  const { file, covered, missing } = calibration;
  if (covered.length === 0) {
    throw new BadInputError(
      `Cannot use calibration ${quote(file.label)}: it has statistics of none of the ` +
        `${countNouns(missing.length, "layer")}, as ${quote(missing[0] ?? "")}: it is of another ` +
        "model: record one of this model",
    );
  }
  const [gap] = settings.strict ? listGaps(calibration, settings) : [];
  if (gap === undefined) return;
  throw new BadInputError(
    `Cannot be strict: ${gap}: record those layers, leave them out with --ignore, or leave --strict out`,
  );
}

/** A block size that no layer is as wide as was meant for another model. */
function checkGroupSize({ layers }: Selection, { groupSize }: QuantizeSettings): void {
  if (typeof groupSize !== "number") return;
  const widest = layers.reduce((most, { columns }) => Math.max(most, columns), 0);
  if (groupSize <= widest) return;
  throw new BadInputError(
    `Cannot use --group-size ${groupSize}: the widest layer has ${countNouns(widest, "column")}: ` +
      "give at most that, or leave --group-size out",
  );
}

/** What is a warning without `strict`. */
function checkStrictly(
  { layers, tooFewRows, unheld }: Selection,
  settings: QuantizeSettings,
): void {
  const fallback = layers.filter(({ grid }) => grid.fallback);
  if (fallback[0] !== undefined) {
    throw new BadInputError(
      `Cannot cut ${countNouns(fallback.length, "layer")} into blocks: ` +
        `${describeGroupSize(settings)} does not suit the ${
          countNouns(fallback[0].columns, "column")
        } of ${quote(fallback[0].name)}: give a size that does, or leave --strict out`,
    );
  }
  if (unheld[0] !== undefined) {
    throw new BadInputError(
      `Cannot store ${countNouns(unheld.length, "layer")}: ${describeBlocks(settings)} does not ` +
        `suit the ${countNouns(unheld[0].columns, "column")} of ${quote(unheld[0].name)}: ` +
        "give another --format or --group-size, or leave --strict out",
    );
  }
  if (tooFewRows[0] !== undefined) {
    throw new BadInputError(
      `Cannot use --num-time-groups ${settings.timeGroups}: it leaves out ${
        countNouns(tooFewRows.length, "layer")
      } with fewer rows, the first ${quote(tooFewRows[0].name)} ` +
        `(${countNouns(tooFewRows[0].rows, "row")}): lower it, or leave --strict out`,
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
  if (model.sideFiles.includes(OUTPUT_MARK)) {
    throw new BadInputError(
      `The model ${quote(model.name)} is already quantized: it holds ${quote(OUTPUT_MARK)}, ` +
        `which a run writes: ${again}`,
    );
  }
  for (const { name, tensors } of model.shards) {
    const packed = tensors.find((tensor) =>
      /\.(weight_packed|qweight|comfy_quant)$/.test(tensor.name)
    );
    if (packed === undefined) continue;
    throw new BadInputError(
      `The model ${quote(model.name)} is already quantized: ${quote(name)} holds ` +
        `${quote(packed.name)}: ${again}`,
    );
  }
}
