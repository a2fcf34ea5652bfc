/** Holds a comparison against rules and writes down what was found; decides nothing else. */

import { compilePattern } from "../base/match_pattern.ts";
import type { Comparison, LayerChange, MetricChange } from "../report/comparison.ts";
import type { GateRule } from "./gate_rules.ts";
import {
  isSameFigure,
  LAYER_COUNTS,
  LAYER_METRICS,
  type LayerCount,
  type Metric,
  METRICS,
  numberOf,
} from "../report/metrics.ts";

/** What one rule says about one figure. */
export interface Finding {
  /** The figure. */
  metric: GateRule["metric"];
  /** The layer whose figure it is, or that vanished, is new or renamed; `null`: the model's. */
  layer: string | null;
  /** The baseline's figure; `null` as in the report, or where there is none. */
  baseline: number | null;
  /** The current one. */
  current: number | null;
  /** What `current` is held against; `null` where there is nothing to hold it against. */
  allowed: number | null;
  /** How: `current operator allowed` has to be true. */
  operator: ">=" | "<=" | "==";
  /** Level of the rule. */
  level: GateRule["level"];
  /** Whether the rule is kept. */
  passed: boolean;
  /** Why it could not be applied, and so counts as broken; `null` where it could. */
  problem: "no number in the baseline" | "no number in the report" | "no layer matches" | null;
}

/**
 * Applies rules to a comparison, in their order. Figures are held against their limit to 6 significant
 * digits, which is what a baseline keeps. A rule that cannot be applied, since a number is missing or
 * its pattern matches no layer, counts as broken.
 */
export function applyRules(comparison: Comparison, rules: readonly GateRule[]): Finding[] {
  const output = comparison.metrics.find(({ metric }) => metric === "output_sqnr_db");
  const isMeasured = Number.isFinite(output?.baseline) && Number.isFinite(output?.current);
  const measured = isMeasured ? "output" : "weights";
  const hasInputs = comparison.metrics.some(({ metric }) => metric === "activation_sqnr_db");
  return rules.flatMap((rule) => {
    if (isCount(rule.metric)) return countLayers(comparison, rule, rule.metric);
    if (rule.layers !== null) {
      const others = rules.filter((one) => one !== rule && overrides(one, rule));
      return judgeLayers(comparison, rule, rule.layers, others);
    }
    const { where = measured } = rule;
    return where === (where === "inputs" && hasInputs ? "inputs" : measured)
      ? [judge(rule, METRICS, comparison.metrics, null)]
      : [];
  });
}

/**
 * Whether a rule is about what is known of a layer. An output that is not known any more breaks the rule of
 * outputs; one that only the current report knows can be held against nothing, nor can its weights.
 */
function isMeant({ where }: GateRule, changes: readonly MetricChange[]): boolean {
  const output = changes.find(({ metric }) => metric === "output_sqnr_db");
  if (where === undefined) return true;
  const isKnown = Number.isFinite(output?.baseline);
  return where === "output" ? isKnown : !isKnown && !Number.isFinite(output?.current);
}

/** Whether a rule for some layers takes the place of one for every layer. */
function overrides(one: GateRule, fallback: GateRule): boolean {
  return fallback.is_fallback === true && one.is_fallback !== true && one.layers !== null &&
    one.metric === fallback.metric;
}

function isCount(metric: GateRule["metric"]): metric is LayerCount {
  return LAYER_COUNTS.some((name) => name === metric);
}

/** @param others Rules whose layers this one leaves alone. */
function judgeLayers(
  comparison: Comparison,
  rule: GateRule,
  pattern: string,
  others: readonly GateRule[],
): Finding[] {
  const isOf = (pattern: string) => {
    const matcher = compilePattern(pattern);
    return ({ name, baseline_name }: LayerChange) =>
      matcher.test(name) || matcher.test(baseline_name);
  };
  const taken = others.map(({ layers }) => isOf(layers!));
  const layers = comparison.layers.filter(isOf(pattern))
    .filter((layer) => !taken.some((isTaken) => isTaken(layer)));
  if (layers.length > 0 || rule.is_fallback === true) {
    return layers.filter(({ metrics }) => isMeant(rule, metrics)).map(({ name, metrics }) =>
      judge(rule, LAYER_METRICS, metrics, name)
    );
  }
  const finding = describe(rule, null, null, null, null);
  return [{ ...finding, layer: pattern, passed: false, problem: "no layer matches" }];
}

function judge(
  rule: GateRule,
  metrics: readonly Metric[],
  changes: readonly MetricChange[],
  layer: string | null,
): Finding {
  const metric = metrics.find(({ name }) => name === rule.metric);
  const change = changes.find((one) => one.metric === rule.metric);
  const baseline = change?.baseline ?? null;
  const current = change?.current ?? null;
  const numberIn = (value: number | null) =>
    metric === undefined || change === undefined ? NaN : numberOf(metric, value);
  const [before, after] = [numberIn(baseline), numberIn(current)];
  const allowed = limitOf(rule, before);
  const limit = Number.isNaN(allowed) ? null : allowed;
  const finding = describe(rule, layer, baseline, current, limit);
  if (Number.isNaN(before)) return { ...finding, problem: "no number in the baseline" };
  if (Number.isNaN(after)) return { ...finding, problem: "no number in the report" };
  return { ...finding, passed: isKept(finding.operator, after, allowed) };
}

/** The figure that is just allowed; `NaN` where the baseline has none. */
function limitOf(
  { must_not_move, direction, absolute, relative }: GateRule,
  baseline: number,
): number {
  const slack = Math.max(absolute, relative * Math.abs(baseline));
  if (must_not_move || slack === 0 || !Number.isFinite(baseline)) return baseline;
  // 12 digits: 0.9 - 0.01 is 0.89, not 0.8900000000000001.
  return Number((direction === "higher" ? baseline - slack : baseline + slack).toPrecision(12));
}

function isKept(operator: Finding["operator"], current: number, allowed: number): boolean {
  if (current === allowed || isSameFigure(current, allowed)) return true;
  return operator === ">=" ? current > allowed : operator === "<=" ? current < allowed : false;
}

/** A finding that is not kept yet. */
function describe(
  rule: GateRule,
  layer: string | null,
  baseline: number | null,
  current: number | null,
  allowed: number | null,
): Finding {
  return {
    metric: rule.metric,
    layer,
    baseline,
    current,
    allowed,
    operator: rule.must_not_move ? "==" : rule.direction === "higher" ? ">=" : "<=",
    level: rule.level,
    passed: false,
    problem: null,
  };
}

/** Layers that vanished, are new or were renamed: one finding for each where they are too many. */
function countLayers(comparison: Comparison, rule: GateRule, metric: LayerCount): Finding[] {
  const names = {
    vanished_layers: comparison.vanished_layers,
    new_layers: comparison.new_layers,
    renamed_layers: comparison.renamed_layers.map(({ to }) => to),
  }[metric];
  const allowed = rule.must_not_move ? 0 : rule.absolute;
  const finding = describe(rule, null, 0, names.length, allowed);
  if (names.length <= allowed) return [{ ...finding, passed: true }];
  return names.map((layer) => ({ ...finding, layer }));
}
