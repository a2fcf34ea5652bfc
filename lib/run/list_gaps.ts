/** What a calibration does not know of the layers of a run, and what it knows of no layer. */

import { countNouns, quote } from "../base/text.ts";
import { hasHistogram } from "../calibration/read_histograms.ts";
import type { QuantizeSettings } from "../settings/settings.ts";
import type { PlannedCalibration } from "./plan_run.ts";

/**
 * The gaps of a calibration for a run, a sentence each without its full stop: how many layers, and the first of
 * them. What compensates errors is asked of in phase optimize alone, histograms where inputs are quantized.
 */
export function listGaps(
  { file, covered, missing, unsketched, strange }: PlannedCalibration,
  { phase, activationBits }: Pick<QuantizeSettings, "phase" | "activationBits">,
): string[] {
  const subject = `calibration ${quote(file.label)}`;
  const isCompensated = phase === "optimize";
  const uncounted = activationBits === undefined
    ? []
    : covered.filter((name) => !hasHistogram(file.layers.get(name)));
  const gaps: [layers: readonly string[], words: (layers: string) => string][] = [
    [
      missing,
      (layers) =>
        isCompensated
          ? `${subject} has no statistics of ${layers}, which are quantized without`
          : `${subject} has no statistics of ${layers}, whose inputs are left as they are`,
    ],
    [
      isCompensated ? unsketched : [],
      (layers) =>
        `${subject} has no sketch of the inputs of ${layers}, which are searched for, not compensated`,
    ],
    [
      uncounted,
      (layers) =>
        `${subject} has no histograms of the inputs of ${layers}, which are left as they are`,
    ],
    [
      strange,
      (layers) => `${subject} has statistics of ${layers} that the model does not have`,
    ],
  ];
  return gaps.flatMap(([layers, words]) =>
    layers[0] === undefined
      ? []
      : [`${words(countNouns(layers.length, "layer"))}: the first is ${quote(layers[0])}`]
  );
}
