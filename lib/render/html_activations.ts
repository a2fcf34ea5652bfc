/** What a page says of the quantizers of inputs: texts for its template, figures and curves for its scripts. */

import type { InputCurves, PageData } from "../../templates/client/page_data.js";
import { formatCount, formatDecibel, formatScore } from "../../templates/client/format.js";
import { countNouns, escapeText } from "../base/text.ts";
import { middlesOf, planPoints } from "../params/plan_points.ts";
import { areBoundaries } from "../plan/plan_time_groups.ts";
import { storedScore } from "../report/judge_quality.ts";
import { sixDigits } from "../report/metrics.ts";
import { countRough } from "../report/rank_damage.ts";
import {
  type ActivationsReport,
  DRAWN_INPUTS,
  driftOf,
  type LayerActivations,
} from "../report/report_activations.ts";
import { roundTo } from "./html_series.ts";

/** What the page says. */
export interface ActivationsView {
  /** What was quantized, and how. */
  about: string;
  /** Figures of all inputs, names and values. */
  facts: [string, string][];
  /** The inputs that are drawn, in words. */
  charts: { name: string; note: string }[];
  /** How many layers have violations of their own. */
  rough: string;
}

/** A layer that can be drawn. */
type DrawnLayer = LayerActivations & Required<Pick<LayerActivations, "range">>;

/** Puts the quantizers of a run's inputs into words. */
export function viewActivations(activations: ActivationsReport): ActivationsView {
  const { layers } = activations;
  return {
    about: describeRun(activations),
    facts: listFacts(activations),
    charts: listDrawn(activations).map((layer) => ({
      name: escapeText(layer.name),
      note: describeDrawn(layer),
    })),
    rough: formatCount(countRough(layers)),
  };
}

/**
 * The quantizers as the page's scripts read them.
 *
 * @param names Those of the report's layers; others are left out, as there is nothing that they could lead to.
 */
export function carryActivations(
  activations: ActivationsReport,
  names: readonly string[],
): NonNullable<PageData["activations"]> {
  const places = new Map(names.map((name, i) => [name, i]));
  const layers = activations.layers.filter(({ name }) => places.has(name));
  const decibels = (key: "static_sqnr_db" | "grouped_sqnr_db" | "timestep_sqnr_db") =>
    layers.map((layer) => {
      const value = layer[key];
      return value === null ? null : roundTo(value, 2);
    });
  return {
    groups: countGroups(activations),
    ...carryAxis(activations),
    drawn: listDrawn(activations).map(carryCurves),
    layer: layers.map(({ name }) => places.get(name)!),
    once: decibels("static_sqnr_db"),
    grouped: decibels("grouped_sqnr_db"),
    each: decibels("timestep_sqnr_db"),
    score: layers.map(({ smoothness_score }) => roundTo(smoothness_score, 4)),
    violations: layers.map(({ violation_count }) => violation_count),
    recommended: layers.map(({ recommended_groups }) => recommended_groups),
  };
}

/** The layers that can be drawn, the largest drift first: a report may have been written by others. */
function listDrawn(activations: ActivationsReport): DrawnLayer[] {
  const { timesteps, boundaries, layers } = activations;
  const isAxis = timesteps.length > 1 && boundaries.at(-1) === timesteps.length &&
    timesteps.every((time, t) => t === 0 || time > timesteps[t - 1]!) && areBoundaries(boundaries);
  if (!isAxis) return [];
  const [groups, points] = [countGroups(activations), planPoints(timesteps.length).length - 1];
  return layers.filter((layer): layer is DrawnLayer =>
    layer.range?.length === points && layer.scale.length === groups &&
    layer.baseline_scale.length === groups &&
    (layer.moving_scale === undefined || layer.moving_scale.length === points)
  )
    .map((layer) => ({ layer, drift: driftOf(layer.range) ?? 0 }))
    .sort((a, b) => b.drift - a.drift)
    .slice(0, DRAWN_INPUTS)
    .map(({ layer }) => layer);
}

function countGroups({ boundaries }: ActivationsReport): number {
  return boundaries.length - 1;
}

function describeRun(activations: ActivationsReport): string {
  const { bits, timesteps, layers, grouping, other_layers: other } = activations;
  const kept = activations.kept_layers.length;
  const groups = countNouns(countGroups(activations), "time group");
  const cut = grouping === "equal" ? "of equal length" : "whose boundaries err least";
  return `The inputs of ${countNouns(layers.length, "layer")} are quantized to ${bits} bits, by ` +
    `${groups} ${cut} over ${countNouns(timesteps.length, "timestep")}. ` +
    (kept === 0
      ? ""
      : `Those of ${countNouns(kept, "layer")} are outlying and left as they are: codes would ` +
        "err ten times as much there as with most. ") +
    (other > 0
      ? `Those of ${countNouns(other, "other layer")} are left as they are: ` +
        "the calibration does not know them."
      : kept === 0
      ? "There is no other layer."
      : "There are no more layers.");
}

function listFacts(activations: ActivationsReport): [string, string][] {
  const { range, baseline, stored_smoothness_score: stored } = activations;
  const before = (figure: string) => `, in phase baseline ${figure}`;
  const exact = stored === undefined
    ? ""
    : ` as stored, ${formatScore(activations.smoothness_score)} before zero points were rounded`;
  return [
    ["Ranges", range],
    [
      "Smoothness score",
      countGroups(activations) === 1
        ? "n/a, one time group has no boundary"
        : `${formatScore(storedScore(activations))}${exact}` +
          before(formatScore(baseline.smoothness_score)),
    ],
    [
      "Violations",
      formatCount(activations.violation_count) + before(formatCount(baseline.violation_count)),
    ],
    ["Expected SQNR, one range for all timesteps", formatDecibel(activations.static_sqnr_db)],
    [
      "Expected SQNR, with the time groups",
      formatDecibel(activations.grouped_sqnr_db) + before(formatDecibel(baseline.grouped_sqnr_db)),
    ],
    [
      "Expected SQNR, a range for each timestep",
      `${formatDecibel(activations.timestep_sqnr_db)}, the limit`,
    ],
  ];
}

/** `range 5.1x, expected SQNR 15.00 dB with one range, 20.10 dB with the groups` */
function describeDrawn({ range, static_sqnr_db, grouped_sqnr_db }: DrawnLayer): string {
  const drift = driftOf(range);
  return `range ${drift === null ? "from 0" : `${drift.toFixed(1)}x`}, expected SQNR ` +
    `${formatDecibel(static_sqnr_db)} with one range, ` +
    `${formatDecibel(grouped_sqnr_db)} with the groups`;
}

/** Where points and edges of time groups lie; a boundary in the middle between two timesteps. */
function carryAxis(
  { timesteps, boundaries }: ActivationsReport,
): { points: number[]; edges: number[] } {
  const last = timesteps.length - 1;
  return {
    points: middlesOf(planPoints(timesteps.length)).map((t) => sixDigits(timesteps[t]!)),
    edges: boundaries.map((t) =>
      sixDigits(t === 0 || t > last ? timesteps[Math.min(t, last)]! : mean(timesteps, t))
    ),
  };
}

function mean(timesteps: readonly number[], t: number): number {
  return (timesteps[t - 1]! + timesteps[t]!) / 2;
}

function carryCurves({ range, scale, moving_scale, baseline_scale }: DrawnLayer): InputCurves {
  const fourDigits = (values: readonly number[]) =>
    values.map((value) => Number(value.toPrecision(4)));
  return {
    range: fourDigits(range),
    scale: fourDigits(scale),
    moving: moving_scale === undefined ? null : fourDigits(moving_scale),
    before: fourDigits(baseline_scale),
  };
}
