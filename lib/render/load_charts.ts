/** The library that draws charts on a page, as text that goes into it; loaded by the run that needs it. */

import { BadInputError } from "../base/errors.ts";

/** The library, about 51 kB of script. */
export interface ChartLibrary {
  /** For a script element: sets the global `uPlot`. */
  script: string;
  /** For a style element. */
  style: string;
}

/**
 * Loads it.
 *
 * @throws {BadInputError} It cannot be loaded.
 */
export async function loadCharts(): Promise<ChartLibrary> {
  try {
    const [script, style] = await Promise.all([
      import("npm:uplot@1.6.32/dist/uPlot.iife.min.js", { with: { type: "text" } }),
      import("npm:uplot@1.6.32/dist/uPlot.min.css", { with: { type: "text" } }),
    ]);
    return { script: script.default, style: style.default };
  } catch (error) {
    const [reason] = String(error).split("\n");
    throw new BadInputError(
      `Cannot load the charts "npm:uplot@1.6.32": ${reason}: ` +
        "run once with a network, or leave pages (--html-report) out",
    );
  }
}
