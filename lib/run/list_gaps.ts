/** What a calibration does not know of the layers of a run, and what it knows of no layer. */

import { countNouns, quote } from "../base/text.ts";
import type { PlannedCalibration } from "./plan_run.ts";

/** The gaps of a calibration, a sentence each without its full stop: how many layers, and the first of them. */
export function listGaps({ file, missing, unsketched, strange }: PlannedCalibration): string[] {
  const subject = `calibration ${quote(file.label)}`;
  const gaps: [layers: readonly string[], words: (layers: string) => string][] = [
    [
      missing,
      (layers) => `${subject} has no statistics of ${layers}, which are quantized without`,
    ],
    [
      unsketched,
      (layers) =>
        `${subject} has no sketch of the inputs of ${layers}, which are searched for, not compensated`,
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
