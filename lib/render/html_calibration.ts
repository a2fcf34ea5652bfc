/** What a page says of the calibration of its run, as plain texts and markup for its template. */

import { countNouns, escapeText } from "../base/text.ts";
import type { Drift, DriftOfKind } from "../calibration/measure_drift.ts";
import type { Report } from "../report/build_report.ts";
import { describeCalibration } from "../report/report_calibration.ts";
import { axisEnd, drawDrift } from "./draw_drift.ts";
import { toMarkup } from "./html_markup.ts";

/** What the page says. */
export interface CalibrationView {
  /** The file in a few words. */
  file: string;
  /** What it was good for. */
  layers: string;
  /** A chart of each kind of layer; none where nothing is known by time. */
  charts: { kind: string; note: string; svg: string }[];
}

/** Puts the calibration of a report into words; `null`: it has none. */
export function viewCalibration({ calibration }: Report): CalibrationView | null {
  if (calibration === undefined) return null;
  const { compensated_layers: compensated, other_layers: other, drift } = calibration;
  const left = other === 0 ? "" : `, not those of ${countNouns(other, "other layer")}`;
  const { timesteps, kinds } = drawable(drift);
  const most = axisEnd(kinds);
  return {
    file: describeCalibration(calibration),
    layers: `The errors of ${countNouns(compensated, "layer")} were compensated${left}.`,
    charts: kinds.map((one) => {
      const [kind, note] = [escapeText(one.kind), describeRatios(one)];
      const name = `${kind}, inputs over time: ${note}`;
      return { kind, note, svg: toMarkup(drawDrift(one, timesteps, most, name)) };
    }),
  };
}

/** What of a drift can be drawn: a report may have been written by others. */
function drawable(drift: Drift | undefined): Drift {
  const { timesteps = [], kinds = [] } = drift ?? {};
  const isAxis = timesteps.every((time, p) => p === 0 || time > timesteps[p - 1]!);
  if (!isAxis || timesteps.length === 0) return { timesteps: [], kinds: [] };
  const fits = (curve: number[] | null) => curve === null || curve.length === timesteps.length;
  return {
    timesteps,
    kinds: kinds.filter(({ range, rms }) => (range ?? rms) !== null && fits(range) && fits(rms)),
  };
}

/** `range 5.1x, RMS 3.3x, 4 layers`. */
function describeRatios({ range_ratio, rms_ratio, layers }: DriftOfKind): string {
  return [
    ...range_ratio === null ? [] : [`range ${range_ratio.toFixed(1)}x`],
    ...rms_ratio === null ? [] : [`RMS ${rms_ratio.toFixed(1)}x`],
    countNouns(layers, "layer"),
  ].join(", ");
}
