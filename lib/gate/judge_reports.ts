/** Judges a report by its baseline: comparable at all, then rule by rule. */

import { BaselineError } from "../base/errors.ts";
import { escapeText, quote } from "../base/text.ts";
import { adviseOnFailure } from "./advise_on_failure.ts";
import { applyRules, type Finding } from "./apply_rules.ts";
import { compareReports } from "../compare/compare_reports.ts";
import type { Comparison, MetricChange, SettingChange } from "../report/comparison.ts";
import { chooseRules, type GateRule } from "./gate_rules.ts";
import type { ReportFigures } from "../report/report_figures.ts";

/** What a gate decided, and why. */
export interface Judgement {
  /** Whether every rule of level `fail` is kept. */
  passed: boolean;
  /** What each rule found. */
  findings: Finding[];
  /** Figures of the model that got better. */
  improvements: MetricChange[];
  /** What to do about what failed; `null` where the gate is passed. */
  advice: string | null;
  /** All that was compared. */
  comparison: Comparison;
}

/** How to judge. */
export interface JudgeOptions {
  /** Rules. Default: the built-in ones. */
  rules?: readonly GateRule[];
  /** What messages call the baseline, usually its file. */
  baselineName?: string;
}

/**
 * Judges a report by a baseline.
 *
 * @param baseline A report, or a baseline.
 * @param current The report in question.
 * @throws {BaselineError} They were measured with other settings, so that neither can judge the other.
 */
export function judgeReports(
  baseline: ReportFigures,
  current: ReportFigures,
  { rules = chooseRules(), baselineName }: JudgeOptions = {},
): Judgement {
  const comparison = compareReports(baseline, current);
  if (comparison.differing_settings.length > 0) {
    const name = baselineName === undefined ? "" : ` ${quote(baselineName)}`;
    throw new BaselineError(
      `Cannot judge the report by the baseline${name}: ${
        comparison.differing_settings.map(describeSetting).join("; ")
      }: quantize with the baseline's settings, or write it again with isotherm baseline update`,
    );
  }
  const findings = applyRules(comparison, rules);
  return {
    passed: findings.every(({ passed, level }) => passed || level === "warn"),
    findings,
    improvements: comparison.metrics.filter(({ direction }) => direction === "better"),
    advice: adviseOnFailure(findings, comparison) ?? null,
    comparison,
  };
}

/** A setting that differs, in words. */
export function describeSetting({ setting, baseline, current }: SettingChange): string {
  const show = (value: unknown) => escapeText(JSON.stringify(value));
  return `${setting} is ${show(current)}, the baseline has ${show(baseline)}`;
}
