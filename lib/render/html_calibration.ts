/** What a page says of the calibration of its run, as plain texts for its template and curves for its charts. */

import { countNouns, escapeText } from "../base/text.ts";
import type { Drift, DriftOfKind } from "../calibration/measure_drift.ts";

import { type CalibrationReport, describeCalibration } from "../report/report_calibration.ts";

/** What the page says. */
export interface CalibrationView {
  /** The file in a few words. */
  file: string;
  /** What it was good for. */
  layers: string;
  /** The kinds of layer that are drawn, in words; none where nothing is known by time. */
  charts: { kind: string; note: string }[];
}

/**
 * Puts a calibration into words.
 *
 * @param drift What of it is drawn.
 */
export function viewCalibration(
  calibration: CalibrationReport,
  drift: Drift | null,
): CalibrationView {
  const { compensated_layers: compensated, other_layers: other } = calibration;
  const left = other === 0 ? "" : `, not those of ${countNouns(other, "other layer")}`;
  return {
    file: describeCalibration(calibration),
    layers: `The errors of ${countNouns(compensated, "layer")} were compensated${left}.`,
    charts: (drift?.kinds ?? []).map((one) => ({
      kind: escapeText(one.kind),
      note: describeRatios(one),
    })),
  };
}

/** What of a drift can be drawn: a report may have been written by others. `null`: nothing. */
export function drawableDrift(drift: Drift | undefined): Drift | null {
  const { timesteps = [], kinds = [] } = drift ?? {};
  const isAxis = timesteps.every((time, p) => p === 0 || time > timesteps[p - 1]!);
  if (!isAxis || timesteps.length === 0) return null;
  const fits = (curve: number[] | null) => curve === null || curve.length === timesteps.length;
  const drawn = kinds.filter(({ range, rms }) =>
    (range ?? rms) !== null && fits(range) && fits(rms)
  );
  return drawn.length === 0 ? null : { timesteps, kinds: drawn };
}

/** `range 5.1x, RMS 3.3x, 4 layers`. */
function describeRatios({ range_ratio, rms_ratio, layers }: DriftOfKind): string {
  return [
    ...range_ratio === null ? [] : [`range ${range_ratio.toFixed(1)}x`],
    ...rms_ratio === null ? [] : [`RMS ${rms_ratio.toFixed(1)}x`],
    countNouns(layers, "layer"),
  ].join(", ");
}
