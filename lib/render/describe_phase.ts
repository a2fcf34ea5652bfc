/** How a run chose its parameters, in words. */

import type { Report } from "../report/build_report.ts";

/** The settings of a report that say how parameters were chosen. */
export type PhaseSettings = Pick<
  Report,
  "phase" | "smoothing_window" | "smoothing_method" | "markov_weight"
>;

/**
 * The phase and its settings, a few words each.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const settings = { phase: "optimize", markov_weight: 0.1 } as const;
 * assert.deepEqual(listPhase({ ...settings, smoothing_window: 5, smoothing_method: "cubic" }), [
 *   "phase optimize",
 *   "Markov weight 0.1",
 *   "window 5, cubic",
 * ]);
 * ```
 */
export function listPhase(settings: PhaseSettings): string[] {
  const { phase, smoothing_window, smoothing_method, markov_weight } = settings;
  return [
    `phase ${phase}`,
    ...markov_weight === null ? [] : [`Markov weight ${markov_weight}`],
    ...smoothing_window === null ? [] : [`window ${smoothing_window}, ${smoothing_method}`],
  ];
}

/** What the phase does to the parameters at the boundaries; empty for phase baseline. */
export function explainPhase(settings: PhaseSettings): string {
  const { smoothing_window, smoothing_method, markov_weight } = settings;
  return [
    ...markov_weight === null ? [] : [
      `The parameters of all groups were chosen together, for the least error plus ${markov_weight} ` +
      "times the jumps.",
    ],
    ...smoothing_window === null ? [] : [
      `Along a ${smoothing_method} curve the parameters move from group to group over up to ` +
      `${smoothing_window} steps on each side of a boundary; its jump is the largest between two ` +
      "of these steps.",
    ],
  ].join(" ");
}
