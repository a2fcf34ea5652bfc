/** What a gate goes by: the built-in rules, changed by a file of rules, changed by flags. */

import { checkTolerance } from "../settings/check_settings.ts";
import {
  LAYER_COUNTS,
  LAYER_METRICS,
  type LayerCount,
  type MetricName,
  METRICS,
  TOLERANCES,
} from "../report/metrics.ts";

/** One rule. */
export interface GateRule {
  /** The figure it is about. */
  metric: MetricName | LayerCount;
  /** Layers whose figure is meant, as `--ignore` takes them; `null`: the model's figure. */
  layers: string | null;
  /** Which way is better, so that the other one is limited. */
  direction: "higher" | "lower";
  /** How far the figure may get worse, in its own unit; 0 or more. */
  absolute: number;
  /** The same as a share of the baseline's amount; the larger of the two counts. */
  relative: number;
  /** Whether a broken rule fails the gate. */
  level: "warn" | "fail";
  /** Whether the figure may not move at all, for the better either. */
  must_not_move: boolean;
  /**
   * Where it applies: where both reports have figures of the layers' outputs, where they have those of the
   * weights alone, or where inputs are quantized. Absent: always.
   */
  where?: "output" | "weights" | "inputs";
  /** Whether it applies only to layers that no other rule of the same figure is about. */
  is_fallback?: boolean;
}

/** The pattern of a rule about every layer. */
export const EVERY_LAYER = "*";

/** Tolerances that take the place of rules; what is `undefined` changes nothing. */
export interface GateTolerances {
  /** Largest fall of `smoothness_score`. Built in: 0.01. */
  maxScoreDrop?: number | undefined;
  /** Largest fall of `cosine_similarity`. Built in: 0.002. */
  maxCosineDrop?: number | undefined;
  /** Largest fall of `sqnr_db` in dB, or of `output_sqnr_db` where both reports have it. Built in: 0.2. */
  maxSqnrDrop?: number | undefined;
  /** Largest fall of a layer's `sqnr_db` in dB, or of its `output_sqnr_db` where both reports have it. Built in: 1. */
  maxLayerDrop?: number | undefined;
  /** Largest growth of `model_size_mb`, as a share of the baseline. Built in: 0.01. */
  maxSizeGrowth?: number | undefined;
  /** Largest rise of `violation_count`. Built in: 0. */
  maxNewViolations?: number | undefined;
  /** Whether layers may vanish. Built in: no. */
  allowVanishedLayers?: boolean;
}

/** A rule with its parts filled in: about the model, lower is better, no tolerance, level `fail`. */
function rule(parts: Partial<GateRule> & Pick<GateRule, "metric">): GateRule {
  return {
    layers: null,
    direction: "lower",
    absolute: 0,
    relative: 0,
    level: "fail",
    must_not_move: false,
    ...parts,
  };
}

/** The rules of a gate of which nothing was said. */
export const BUILT_IN_RULES: readonly GateRule[] = [
  rule({ metric: "smoothness_score", direction: "higher", absolute: TOLERANCES.score }),
  rule({
    metric: "cosine_similarity",
    direction: "higher",
    absolute: TOLERANCES.cosine,
    where: "weights",
  }),
  rule({ metric: "sqnr_db", direction: "higher", absolute: TOLERANCES.sqnr, where: "weights" }),
  rule({
    metric: "output_sqnr_db",
    direction: "higher",
    absolute: TOLERANCES.sqnr,
    where: "output",
  }),
  rule({
    metric: "activation_smoothness_score",
    direction: "higher",
    absolute: TOLERANCES.score,
    where: "inputs",
  }),
  rule({
    metric: "activation_sqnr_db",
    direction: "higher",
    absolute: TOLERANCES.sqnr,
    where: "inputs",
  }),
  rule({ metric: "violation_count" }),
  rule({ metric: "model_size_mb", relative: 0.01 }),
  rule({ metric: "vanished_layers" }),
  ...dropOfLayers(TOLERANCES.layerSqnr),
  rule({ metric: "quality_grade", layers: EVERY_LAYER, direction: "higher", is_fallback: true }),
];

/** How far the SQNR of each layer may fall, in dB: of its output where both reports know it. */
function dropOfLayers(absolute: number): GateRule[] {
  return (["weights", "output"] as const).map((where) =>
    rule({
      metric: where === "output" ? "output_sqnr_db" : "sqnr_db",
      layers: EVERY_LAYER,
      direction: "higher",
      absolute,
      where,
      is_fallback: true,
    })
  );
}

/** Which way is better for a figure; `null` where neither is, `undefined` where there is no such one. */
export function directionOf(
  metric: string,
  ofLayers: boolean,
): "higher" | "lower" | null | undefined {
  if (!ofLayers && LAYER_COUNTS.some((name) => name === metric)) return "lower";
  const known = ofLayers ? LAYER_METRICS : METRICS;
  return known.find(({ name }) => name === metric)?.better;
}

/**
 * Puts the rules together. A rule of the file takes the place of the built-in one for the same figure;
 * a tolerance takes the place of every rule of level `fail` for its figure, and leaves warnings.
 *
 * @throws {BadInputError} A tolerance is one that no flag could give.
 */
export function chooseRules(
  fromFile: readonly GateRule[] = [],
  tolerances: GateTolerances = {},
): GateRule[] {
  const isSame = (a: GateRule, metric: string, layers: string | null = null) =>
    a.layers === layers && a.metric === metric;
  let rules = [
    ...BUILT_IN_RULES.filter(({ metric, layers }) =>
      !fromFile.some((one) => isSame(one, metric, layers))
    ),
    ...fromFile,
  ];
  const replace = (metric: GateRule["metric"], parts: Partial<GateRule> | undefined) => {
    rules = rules.filter((one) => !(isSame(one, metric) && one.level === "fail"));
    if (parts !== undefined) rules.push(rule({ metric, ...parts }));
  };
  const { maxScoreDrop, maxCosineDrop, maxSqnrDrop, maxLayerDrop } = tolerances;
  const { maxSizeGrowth, maxNewViolations } = tolerances;
  for (
    const [flag, value, isCount] of [
      ["--max-score-drop", maxScoreDrop, false],
      ["--max-cosine-drop", maxCosineDrop, false],
      ["--max-sqnr-drop", maxSqnrDrop, false],
      ["--max-layer-drop", maxLayerDrop, false],
      ["--max-size-growth", maxSizeGrowth, false],
      ["--max-new-violations", maxNewViolations, true],
    ] as const
  ) {
    if (value !== undefined) checkTolerance(flag, value, isCount);
  }
  const drops = [
    ["smoothness_score", maxScoreDrop, undefined],
    ["cosine_similarity", maxCosineDrop, "weights"],
    ["sqnr_db", maxSqnrDrop, "weights"],
    ["output_sqnr_db", maxSqnrDrop, "output"],
    ["activation_smoothness_score", maxScoreDrop, "inputs"],
    ["activation_sqnr_db", maxSqnrDrop, "inputs"],
  ] as const;
  for (const [metric, absolute, where] of drops) {
    if (absolute === undefined) continue;
    replace(metric, { direction: "higher", absolute, ...where !== undefined && { where } });
  }
  if (maxLayerDrop !== undefined) {
    const own = dropOfLayers(maxLayerDrop);
    rules = rules.filter((one) =>
      one.level !== "fail" || !own.some(({ metric, layers }) => isSame(one, metric, layers))
    );
    rules.push(...own);
  }
  if (maxSizeGrowth !== undefined) replace("model_size_mb", { relative: maxSizeGrowth });
  if (maxNewViolations !== undefined) replace("violation_count", { absolute: maxNewViolations });
  if (tolerances.allowVanishedLayers) replace("vanished_layers", undefined);
  return rules;
}
