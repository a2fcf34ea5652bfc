/** What a page says, as plain texts and numbers for its templates; names are shown escaped and cut. */

import {
  formatCount,
  formatDecibel,
  formatPercent,
  formatScore,
} from "../../templates/client/format.js";
import { countNouns, escapeText } from "../base/text.ts";
import type { Comparison } from "../report/comparison.ts";
import type { Report } from "../report/build_report.ts";
import type { ComponentReport } from "../report/report_component.ts";
import { explainPhase, listPhase } from "./describe_phase.ts";
import { type Card, listCards } from "./html_cards.ts";
import { HEAT_STEPS } from "./heat_steps.ts";
import { viewViolations, type ViolationsView } from "./html_violations.ts";
import { describeCalibration } from "../report/report_calibration.ts";
import { type Grade, GRADES } from "../report/grades.ts";
import { repeatCommand } from "./repeat_command.ts";

/** Skipped tensors listed for a reason. */
const MOST_NAMES = 500;

/** Skipped tensors of one reason. */
export interface SkippedGroup {
  /** The reason. */
  reason: string;
  /** How many. */
  count: string;
  /** Their names, some of them. */
  names: string[];
  /** How many names are not listed. */
  more: number;
}

/** What the page says of a report; the templates call it `it`. */
export interface ReportView extends ViolationsView {
  /** The model's name. */
  name: string;
  /** The run in a few words each. */
  facts: string[];
  /** The score. */
  score: string;
  /** The same in percent. */
  percent: string;
  /** The grades along a bar from 0 to 100. */
  zones: { grade: Grade; from: number; width: number }[];
  /** Where one grade ends and the next begins, in percent of that bar; the text stands before, on or behind it. */
  limits: { score: string; at: number; anchor: string }[];
  /** The grades in words. */
  gradeWords: string;
  /** Ends of the expected scores along that bar; `null`: none known. */
  expected: [number, number] | null;
  /** The same in words. */
  expectedWords: string;
  /** The baseline's score, the same in percent too; `null`: the phase is baseline. */
  before: { score: string; percent: string } | null;
  /** Cards of the dashboard. */
  cards: Card[];
  /** What the changes on the cards are against; empty: they show none. */
  cardsAgainst: string;
  /** What the phase did at the boundaries; empty in phase baseline. */
  phase: string;
  /** Whether any layer was quantized. */
  hasLayers: boolean;
  /** Whether some of them have codes of 8 bits. */
  hasWide: boolean;
  /** Grades of quality, best first. */
  grades: Grade[];
  /** Number of time groups. */
  groups: number;
  /** Whether slices of weights stand in for time. */
  isPositional: boolean;
  /** Colors of a heat map in words, best first. */
  heat: string[];
  /** The threshold. */
  threshold: string;
  /** Number of skipped tensors, with its noun and verb. */
  skippedWords: string;
  /** Skipped tensors by reason. */
  skipped: SkippedGroup[];
  /** Settings, names and values. */
  settings: [string, string][];
  /** The command that repeats the run. */
  command: string;
  /** Version of Isotherm. */
  version: string;
}

/**
 * Puts a report into words.
 *
 * @param comparison What the cards show the changes of.
 * @param against What it is a comparison with.
 */
export function viewReport(
  report: Report,
  comparison: Comparison | undefined,
  against: string,
): ReportView {
  const { interpretation, smoothness_score: score, baseline, layers } = report;
  const { expected_score: expected } = interpretation;
  return {
    name: escapeText(report.model_name),
    facts: listFacts(report),
    ...showScore(score),
    before: baseline === undefined ? null : showScore(baseline.smoothness_score),
    ...viewGrades(),
    expected: expected && [Math.round(100 * expected[0]), Math.round(100 * expected[1])],
    expectedWords: expected === null ? "" : showRange(expected),
    cards: listCards(report, comparison),
    cardsAgainst: comparison === undefined ? "" : against,
    phase: explainPhase(report),
    hasLayers: layers.length > 0,
    hasWide: layers.some(({ bits }) => bits === 8),
    grades: GRADES.map(({ grade }) => grade),
    groups: report.num_time_groups,
    isPositional: report.source === "positional",
    heat: listHeatSteps(),
    ...viewViolations(report),
    threshold: formatPercent(report.smoothness_threshold),
    skippedWords: `${countNouns(report.skipped.length, "tensor")} ` +
      `${report.skipped.length === 1 ? "was" : "were"} ${
        report.format === "gguf" ? "written with the same values." : "copied byte for byte."
      }`,
    skipped: listSkipped(report),
    settings: listSettings(report),
    command: repeatCommand(report),
    version: escapeText(report.tool_version),
  };
}

/** The grades, best last, as they stand along the bar. */
function viewGrades(): Pick<ReportView, "zones" | "limits" | "gradeWords"> {
  const scored = GRADES.filter(({ score }) => score >= 0);
  const zones = scored.map(({ grade, score: from }, i) => {
    const to = scored[i - 1]?.score ?? 1;
    return { grade, from, to, width: Math.round(100 * (to - from)) };
  }).reverse();
  // The two uppermost limits are close: one text ends at its own, the other begins there.
  const anchors = ["start", "end"];
  return {
    zones: zones.map(({ grade, from, width }) => ({ grade, from: 100 * from, width })),
    limits: scored.slice(0, -1).map(({ score }, i) => ({
      score: score.toFixed(2),
      at: 100 * score,
      anchor: anchors[i] ?? "middle",
    })).reverse(),
    gradeWords: zones.map(({ grade, from, to }) =>
      to === 1 ? `${grade} from ${from.toFixed(2)}` : `${grade} below ${to.toFixed(2)}`
    ).join(", "),
  };
}

function showScore(score: number): { score: string; percent: string } {
  return { score: formatScore(score), percent: (100 * score).toFixed(1) };
}

function showRange([from, to]: readonly [number, number]): string {
  return `${from.toFixed(2)} to ${to.toFixed(2)}`;
}

function listFacts(report: Report): string[] {
  return [
    `INT${report.bit_width}`,
    report.format,
    countNouns(report.num_time_groups, "time group"),
    ...listPhase(report),
    `${report.source} source`,
    `${formatCount(report.parameter_count)} parameters`,
    `${formatCount(report.layers.length)} ${report.layers.length === 1 ? "layer" : "layers"}`,
  ];
}

/** The colors of the heat maps in words, best first. */
function listHeatSteps(): string[] {
  const last = HEAT_STEPS.at(-1);
  return [...HEAT_STEPS.map((least) => `from ${least}`), `below ${last}`];
}

function listSkipped({ skipped }: Report): SkippedGroup[] {
  return [...Map.groupBy(skipped, ({ reason }) => reason)].map(([reason, tensors]) => ({
    reason: escapeText(reason),
    count: formatCount(tensors.length),
    names: tensors.slice(0, MOST_NAMES).map(({ name }) => escapeText(name)),
    more: Math.max(0, tensors.length - MOST_NAMES),
  }));
}

function listSettings(report: Report): [string, string][] {
  const { layers } = report;
  const fallbacks = layers.filter(({ fallback }) => fallback).length;
  return [
    ["Model", escapeText(report.model_name)],
    ["Checkpoint format", report.format],
    ["Bit width", String(report.bit_width)],
    ["Modulation layers", describeModulation(report)],
    ["Zero points", report.symmetric ? "all the middle code" : "chosen for each block"],
    ["Time groups", String(report.num_time_groups)],
    ["Block", describeBlock(report)],
    ...(fallbacks === 0 ? [] : [
      [
        "Without that block",
        `${countNouns(fallbacks, "layer")}, whose columns it does not suit`,
      ] satisfies [string, string],
    ]),
    ["Scored parameters of a time group", "the means over its rows and blocks"],
    ["Smoothness threshold", String(report.smoothness_threshold)],
    ["Left alone", listIgnored(report)],
    ["Time axis", report.source],
    ["Phase", report.phase],
    ...report.markov_weight === null ? [] : [
      ["Markov weight", String(report.markov_weight)] satisfies [string, string],
    ],
    ...report.smoothing_window === null ? [] : [
      ["Smoothing window", `${report.smoothing_window} steps on each side of a boundary`],
      ["Smoothing method", String(report.smoothing_method)],
    ] satisfies [string, string][],
    ...report.calibration === undefined ? [] : [
      ["Calibration", describeCalibration(report.calibration)] satisfies [string, string],
    ],
    ["Backend", report.backend],
    [
      "Weights quantized",
      `${formatCount(report.quantized_parameter_count)} of ${formatCount(report.parameter_count)}`,
    ],
    ["Bits a weight, on disk", report.bits_per_weight.toFixed(2)],
    ...(report.components ?? []).map((one): [string, string] => [
      `Component ${escapeText(one.name)}`,
      describeComponent(one),
    ]),
    ["Isotherm", escapeText(report.tool_version)],
    ["Report schema", String(report.schema_version)],
  ];
}

function describeComponent(component: ComponentReport): string {
  const { layer_count, smoothness_score, sqnr_db, bits_per_weight } = component;
  return `${countNouns(layer_count, "layer")}, score ${formatScore(smoothness_score)}, ` +
    `SQNR ${formatDecibel(sqnr_db)}, ${bits_per_weight.toFixed(2)} bits a weight`;
}

function describeModulation({ modulation }: Report): string {
  if (modulation === null) return "quantized like the others";
  return modulation === "keep" ? "left as they are" : `${modulation} bits`;
}

function describeBlock({ granularity, group_size }: Report): string {
  if (granularity === "row") {
    return group_size === null ? "a whole row" : `${group_size} columns of a row`;
  }
  return group_size === null
    ? "the whole slice of a time group"
    : `${group_size} columns of the slice of a time group`;
}

function listIgnored({ default_ignore, ignore }: Report): string {
  const parts = [
    ...default_ignore ? ["the built-in sensitive layers"] : [],
    ...ignore.map(escapeText),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
