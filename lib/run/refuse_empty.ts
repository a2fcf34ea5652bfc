/** Says why a run would quantize nothing, and what would help. */

import { BadInputError } from "../base/errors.ts";
import { countLeft, countNouns, quote } from "../base/text.ts";
import type { Obstacle, Selection } from "../plan/select_layers.ts";
import { groupSizeOf, type QuantizeSettings } from "../settings/settings.ts";
import type { PartPlan } from "./plan_run.ts";

/**
 * What helps against each obstacle but the format's, the first that there is being the easiest to overcome:
 * other settings, other names or dtypes, another model.
 */
const ADVICE: [Obstacle, advice: string][] = [
  ["ignored", "give another --ignore, or leave it out"],
  ["sensitive", "give --no-default-ignore to quantize sensitive layers"],
  ["width", "give a --group-size that divides its columns"],
  ["name", "layers are matrices named *.weight: rename it if it is one"],
  ["dtype", "convert the weights, or start from the model they were made of"],
  ["empty", "download it again"],
  ["shape", "only matrices are quantized, and this model has none"],
];

/**
 * Refuses a part of a run in which nothing would be quantized.
 *
 * @throws {BadInputError} Always.
 */
export function refuseEmpty({ model, selection }: PartPlan, settings: QuantizeSettings): never {
  const { skipped, obstacles } = selection;
  const what = skipped.length === 0 ? "it holds no tensor" : countLeft(skipped.length);
  const { example = "", advice } = advise(selection, settings);
  const more = obstacles.size > 1 ? ", and isotherm inspect says why" : "";
  throw new BadInputError(
    `Nothing to quantize in ${quote(model.name)}: ${what}${example}${more}: ${advice}`,
  );
}

function advise(
  { unheld: [unheld], tooFewRows, obstacles }: Selection,
  settings: QuantizeSettings,
): { example?: string; advice: string } {
  if (unheld !== undefined) {
    const columns = countNouns(unheld.columns, "column");
    return {
      advice: `${describeBlocks(settings)} fill none of the ${columns} of ${quote(unheld.name)}: ` +
        "give another --format, --bit-width or --group-size",
    };
  }
  if (tooFewRows.length > 0) {
    return {
      advice: `${countNouns(tooFewRows.length, "layer")} with fewer rows than ` +
        `${settings.timeGroups} time groups: lower --num-time-groups`,
    };
  }
  for (const [obstacle, advice] of ADVICE) {
    const first = obstacles.get(obstacle);
    if (first === undefined) continue;
    return { example: `, as ${quote(first.name)} (${first.reason})`, advice };
  }
  return { advice: "download it again" };
}

/** The blocks of a run, of a format that holds none of other sizes. */
export function describeBlocks(settings: QuantizeSettings): string {
  return `--format ${settings.format} with blocks of ${groupSizeOf(settings) ?? "a row"}`;
}
