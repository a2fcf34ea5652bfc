/** Draws how the inputs of a kind of layer change over time. */

import { type SvgNode, svgNode } from "../../templates/client/svg.js";
import type { DriftOfKind } from "../calibration/measure_drift.ts";

/** Size of a chart, and what is left beside it for numbers; in pixels. */
const SIZE = { width: 300, height: 120, left: 34, right: 8, top: 10, bottom: 24 };

/**
 * Draws the curves of a kind: its range on top, the root mean square dashed below.
 *
 * @param kind Has at least one curve.
 * @param timesteps [P] of the points.
 * @param most Upper end of the axis, the same for every kind of a page, so that they can be compared.
 * @param name What it is a picture of, for those who cannot see it.
 */
export function drawDrift(
  { range, rms }: DriftOfKind,
  timesteps: readonly number[],
  most: number,
  name: string,
): SvgNode {
  const { width, height, left, right, top, bottom } = SIZE;
  const [first, last] = [timesteps[0]!, timesteps.at(-1)!];
  const x = (time: number) =>
    round(
      left + (width - left - right) * (time - first) / Math.max(last - first, Number.MIN_VALUE),
    );
  const y = (value: number) => round(top + (height - top - bottom) * (1 - value / most));
  const line = (curve: readonly number[] | null, series: number) =>
    curve === null ? [] : [
      svgNode("path", {
        class: `line series-${series}`,
        d: curve.map((value, p) => `${p === 0 ? "M" : "L"}${x(timesteps[p]!)} ${y(value)}`).join(
          "",
        ),
      }),
    ];
  const label = (text: string, at: number, side: "first" | "last") =>
    svgNode("text", { class: side, x: at, y: height - 8 }, [text]);
  return svgNode("svg", {
    class: "plot drift",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": name,
  }, [
    ...[0, 1, most].flatMap((tick) => [
      svgNode("path", { class: "grid", d: `M${left} ${y(tick)}H${width - right}` }),
      svgNode("text", { class: "tick", x: left - 6, y: y(tick) + 4 }, [String(tick)]),
    ]),
    ...line(rms, 1),
    ...line(range, 0),
    label(shorten(first), left, "first"),
    label(shorten(last), width - right, "last"),
  ]);
}

/** The least end of an axis that holds all curves: a whole number or a half, at least 1.5. */
export function axisEnd(kinds: readonly DriftOfKind[]): number {
  const most = kinds.flatMap(({ range, rms }) => [...range ?? [], ...rms ?? []])
    .reduce((a, b) => Math.max(a, b), 1.5);
  return Math.ceil(2 * most) / 2;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
