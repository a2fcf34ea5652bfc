/** How a figure is shown where reports are compared: to the 6 significant digits that are compared. */

import { gradeOfPoints } from "../report/grades.ts";
import { METRICS, sixDigits } from "../report/metrics.ts";

/** Figures that are endless, and `null` in JSON, where there is no noise. */
const ENDLESS: ReadonlySet<string> = new Set(
  METRICS.flatMap((metric) => "nullIs" in metric ? [metric.name] : []),
);

/** Shows a figure of a comparison or finding. */
export function formatFigure(metric: string, value: number | null): string {
  if (value === Infinity || (value === null && ENDLESS.has(metric))) return "no noise";
  if (value === null) return "none";
  if (Number.isNaN(value)) return "missing";
  if (metric === "quality_grade") return gradeOfPoints(value) ?? String(value);
  return String(Number.isInteger(value) ? value : sixDigits(value));
}

/** Shows a difference with its sign. */
export function formatDifference(value: number | null): string {
  if (value === null || value === 0) return value === 0 ? "0" : "";
  return `${value > 0 ? "+" : ""}${Number.isInteger(value) ? value : sixDigits(value)}`;
}
