/** What a gate decided, for people: the verdict first, then what broke, then the rest. */

import { countNouns, quote } from "../base/text.ts";
import type { Finding } from "../gate/apply_rules.ts";
import type { Judgement } from "../gate/judge_reports.ts";
import { LAYER_COUNTS } from "../report/metrics.ts";
import { tallyFindings } from "../gate/tally_findings.ts";
import { formatDifference, formatFigure } from "./format_figure.ts";
import { renderLayers } from "./render_comparison.ts";

/** Broken rules that are listed. */
const SHOWN = 20;

/** Renders a judgement. */
export function renderFindings(judgement: Judgement): string {
  const { passed, findings, improvements, comparison, advice } = judgement;
  const { broken, words } = tallyFindings(findings);
  const more = broken.length - SHOWN;
  return [
    `GATE ${passed ? "PASSED" : "FAILED"}: ${words}`,
    ...advice === null ? [] : [`Next: ${advice}.`],
    ...broken.slice(0, SHOWN).map(describeFinding),
    ...more > 0 ? [`  and ${more} more: --json lists all`] : [],
    ...findings.filter((finding) => finding.passed && finding.layer === null).map(describeFinding),
    ...describeKeptLayers(findings),
    ...improvements.length > 0 ? ["Better than the baseline:"] : [],
    ...improvements.map(({ metric, baseline, current, difference }) =>
      `  ${metric}: ${formatFigure(metric, baseline)} -> ${formatFigure(metric, current)}` +
      (difference === null ? "" : ` (${formatDifference(difference)})`)
    ),
    ...renderLayers(comparison),
    "",
  ].join("\n");
}

/** One finding on one line. */
export function describeFinding(finding: Finding): string {
  const { metric, layer, baseline, current, allowed, operator, level, passed, problem } = finding;
  const word = passed ? "ok" : level === "fail" ? "FAIL" : "warn";
  const head = `  ${word.padEnd(4)} ${metric}`;
  if (problem === "no layer matches") {
    return `${head}: no layer in both reports matches ${quote(layer ?? "")}`;
  }
  const ofLayer = layer === null ? "" : ` of ${quote(layer)}`;
  if (problem !== null) return `${head}${ofLayer}: ${problem}`;
  const limit = `must be ${operator} ${formatFigure(metric, allowed)}`;
  if (LAYER_COUNTS.some((count) => count === metric)) {
    return `${head}: ${current}, ${limit}${layer === null ? "" : `: ${quote(layer)}`}`;
  }
  return `${head}${ofLayer}: ${formatFigure(metric, baseline)} -> ` +
    `${formatFigure(metric, current)}, ${limit}`;
}

/** Kept rules about layers, counted, since there is one finding for each layer. */
function describeKeptLayers(findings: readonly Finding[]): string[] {
  const counts = new Map<string, number>();
  for (const { metric, layer, passed } of findings) {
    if (passed && layer !== null) counts.set(metric, (counts.get(metric) ?? 0) + 1);
  }
  return [...counts].map(([metric, count]) => `  ok   ${metric} of ${countNouns(count, "layer")}`);
}
