/** From inputs to arguments of the command line; values are bound to their flags, whatever they begin with. */

import type { Places } from "./place_files.ts";
import type { Inputs } from "./read_inputs.ts";

/** Arguments that quantize. */
export function quantizeArguments(inputs: Inputs, places: Places): string[] {
  return [
    `--model=${inputs.model}`,
    `--output=${inputs.output || places.model}`,
    `--report=${places.report}`,
    ...inputs.runFlags,
  ];
}

/** Arguments that judge a report. */
export function gateArguments(inputs: Inputs, report: string): string[] {
  return [
    "gate",
    "--json",
    `--missing=${inputs.missing}`,
    ...inputs.gateFlags,
    "--",
    inputs.baseline,
    report,
  ];
}
