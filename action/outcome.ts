/** What `measure` found out and `publish` makes known. */

import type { Finding } from "../lib/gate/apply_rules.ts";
import type { Comparison, MetricChange } from "../lib/report/comparison.ts";
import { reportQuality } from "../lib/report/report_quality.ts";
import type { Report } from "../lib/report/build_report.ts";
import type { Annotation } from "./list_annotations.ts";
import { nameVerdict, type Verdict } from "./verdict.ts";

/** What the gate's JSON says. */
export interface GateResult {
  /** `skipped` and `created`: there was no baseline. */
  verdict: "passed" | "failed" | "skipped" | "created";
  /** What each rule found. */
  findings: Finding[];
  /** Figures of the model that got better. */
  improvements: MetricChange[];
  /** What to do about what failed; `null` where nothing did. */
  advice: string | null;
  /** `null` where there was no baseline. */
  comparison: Comparison | null;
}

/** All that a run found. */
export interface Results {
  /** Exit code of the command that ended the run. */
  code: number;
  /** Why there is no judgement; absent where there is one. */
  error?: string | undefined;
  /** The baseline's path. */
  baseline: string;
  /** The report, and where it lies. */
  report?: { path: string; content: Report };
  /** The page's path. */
  htmlPath?: string;
  /** What the gate said. */
  gate?: GateResult;
}

/** Outputs of the action. */
export type Outputs = Record<
  | "verdict"
  | "quality-grade"
  | "smoothness-score"
  | "violation-count"
  | "cosine-similarity"
  | "model-size-mb"
  | "regressions"
  | "report"
  | "html-report"
  | "summary",
  string
>;

/** What one step hands to the next. */
export interface Outcome {
  /** Outputs of the action. */
  outputs: Outputs;
  /** What to show on files. */
  annotations: Annotation[];
}

/** Findings in the output `regressions`: an output that is too long cannot be handed to a step. */
const MAX_REGRESSIONS = 100;

/** Findings that fail the gate. */
export function listRegressions(gate: GateResult | undefined): Finding[] {
  return (gate?.findings ?? []).filter(({ passed, level }) => !passed && level === "fail");
}

/** The verdict of a run. */
export function verdictOf({ code }: Results): Verdict {
  return nameVerdict(code);
}

/** The outputs of a run; empty where there is nothing to say. */
export function listOutputs(results: Results, summaryPath: string): Outputs {
  const { report, htmlPath, gate } = results;
  const figure = (
    key: "smoothness_score" | "violation_count" | "cosine_similarity" | "model_size_mb",
  ) => report === undefined ? "" : String(report.content[key] ?? "");
  return {
    verdict: verdictOf(results),
    "quality-grade": report === undefined ? "" : reportQuality(report.content).verdict,
    "smoothness-score": figure("smoothness_score"),
    "violation-count": figure("violation_count"),
    "cosine-similarity": figure("cosine_similarity"),
    "model-size-mb": figure("model_size_mb"),
    regressions: JSON.stringify(listRegressions(gate).slice(0, MAX_REGRESSIONS)),
    report: report?.path ?? "",
    "html-report": htmlPath ?? "",
    summary: summaryPath,
  };
}
