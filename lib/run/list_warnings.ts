/** What a user should know of a planned run before it begins, though it may. */

import { countNouns, quote } from "../base/text.ts";
import { fullName } from "../plan/plan_layer.ts";
import { describeGroupSize, type QuantizeSettings } from "../settings/settings.ts";
import { listGaps } from "./list_gaps.ts";
import type { RunPlan } from "./plan_run.ts";

/** Files named in a warning. */
const FILES_SHOWN = 3;

/** The warnings of a planned run, a line each. */
export function listWarnings(plan: RunPlan, settings: QuantizeSettings): string[] {
  const { source, parts, calibration } = plan;
  const { format, bits, granularity, timeGroups } = settings;
  const all = <T extends { name: string }>(list: (part: RunPlan["parts"][number]) => T[]): T[] =>
    parts.flatMap((part) =>
      list(part).map((one) => ({ ...one, name: fullName(part.component, one.name) }))
    );
  const lines = settings.ignore
    .filter((pattern) => parts.every(({ selection }) => selection.unusedPatterns.includes(pattern)))
    .map((pattern) => `Warning: --ignore ${quote(pattern)} matches no tensor`);
  const fallback = all(({ selection }) => selection.layers.filter(({ grid }) => grid.fallback));
  if (fallback[0] !== undefined) {
    const size = fallback[0].grid.groupSize;
    const taken = size === null ? "one block" : `blocks of ${size}`;
    lines.push(
      `Warning: ${describeGroupSize(settings)} does not suit the columns of ${
        countNouns(fallback.length, "layer")
      }: the first, ${quote(fallback[0].name)}, takes ${taken} a ${granularity}`,
    );
  }
  const unheld = all(({ selection }) => selection.unheld);
  if (unheld[0] !== undefined) {
    lines.push(
      `Warning: --format ${format} at ${bits} bits cannot store ${
        countNouns(unheld.length, "layer")
      }, left as they are: the first, ${quote(unheld[0].name)}, has ${
        countNouns(unheld[0].columns, "column")
      }`,
    );
  }
  const short = all(({ selection }) => selection.tooFewRows);
  if (short[0] !== undefined) {
    lines.push(
      `Warning: --num-time-groups ${timeGroups} leaves out ${
        countNouns(short.length, "layer")
      } with fewer rows, the first ${quote(short[0].name)} (${
        countNouns(short[0].rows, "row")
      }): lower it to quantize them`,
    );
  }
  if (calibration !== undefined) {
    lines.push(...listGaps(calibration, settings).map((gap) => `Warning: ${gap}`));
  }
  if (source.leftOut.length > 0) {
    const shown = source.leftOut.slice(0, FILES_SHOWN).map(quote).join(", ");
    const rest = source.leftOut.length - FILES_SHOWN;
    lines.push(`Not copied: ${shown}${rest > 0 ? `, and ${rest} more` : ""}`);
  }
  return lines;
}
