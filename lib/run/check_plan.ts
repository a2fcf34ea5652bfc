/** Decides, before the work begins, whether a planned run may start. */

import { BadInputError } from "../base/errors.ts";
import { countNouns, quote } from "../base/text.ts";
import type { Model } from "../model/open_model.ts";
import type { Selection } from "../plan/select_layers.ts";
import { describeGroupSize, type QuantizeSettings } from "../settings.ts";
import type { RunPlan } from "./plan_run.ts";

/**
 * Checks that a planned run may start; its settings were checked when it was planned.
 *
 * @throws {BadInputError} The model is already quantized, nothing is left to quantize, or `strict`
 * forbids it.
 */
export function checkPlan({ model, selection }: RunPlan, settings: QuantizeSettings): void {
  refuseQuantized(model);
  const { layers, skipped } = selection;
  if (layers.length === 0) {
    const [short] = selection.tooFewRows;
    const advice = short === undefined
      ? "give --no-default-ignore, or another --ignore"
      : `${
        countNouns(selection.tooFewRows.length, "layer")
      } with fewer rows than ${settings.timeGroups} time groups: lower --num-time-groups`;
    throw new BadInputError(
      `Nothing to quantize in ${quote(model.name)}: ${
        countNouns(skipped.length, "tensor")
      } left as they are, and isotherm inspect says why: ${advice}`,
    );
  }
  checkGroupSize(selection, settings);
  if (settings.strict) checkStrictly(selection, settings);
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
function checkStrictly({ layers, tooFewRows }: Selection, settings: QuantizeSettings): void {
  const fallback = layers.filter(({ grid }) => grid.fallback);
  if (fallback[0] !== undefined) {
    throw new BadInputError(
      `Cannot cut ${countNouns(fallback.length, "layer")} into blocks: ` +
        `${describeGroupSize(settings)} does not suit the ${
          countNouns(fallback[0].columns, "column")
        } of ${quote(fallback[0].name)}: give a size that does, or leave --strict out`,
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
  for (const { name, tensors } of model.shards) {
    const packed = tensors.find((tensor) => /\.(weight_packed|qweight)$/.test(tensor.name));
    if (packed === undefined) continue;
    throw new BadInputError(
      `The model ${quote(model.name)} is already quantized: ${quote(name)} holds ` +
        `${quote(packed.name)}: ${again}`,
    );
  }
}
