/** Findings as annotations on the line of the baseline that says what was expected. */

import { relative, resolve } from "node:path";
import type { Finding } from "../lib/gate/apply_rules.ts";
import { tallyFindings } from "../lib/gate/tally_findings.ts";
import { LAYER_COUNTS } from "../lib/report/metrics.ts";
import { describeFinding } from "../lib/render/render_findings.ts";

/** Annotations of a run; GitHub shows about as many of a step. */
const MAX_ANNOTATIONS = 10;

/** A note on a file. */
export interface Annotation {
  /** How loud it is. */
  level: "error" | "warning" | "notice";
  /** What it says. */
  message: string;
  /** File in the repository; absent: the note is on the run. */
  file?: string;
  /** Line, from 1. */
  line?: number;
}

/** A baseline as far as notes can be put on it. */
export interface AnnotatedFile {
  /** Path from the root of the repository; `undefined` where it lies elsewhere. */
  file: string | undefined;
  /** Its text; empty where it cannot be read. */
  text: string;
}

/** The path of a file from the root of the repository, or `undefined` where it lies elsewhere. */
export function pathInRepository(path: string, workspace: string): string | undefined {
  const inside = relative(workspace, resolve(workspace, path));
  return inside === "" || inside.startsWith("..") ? undefined : inside;
}

/** A note on the baseline as a whole, or on the run where it is not in the repository. */
export function annotate(
  level: Annotation["level"],
  message: string,
  { file }: Pick<AnnotatedFile, "file">,
  line = 1,
): Annotation {
  return file === undefined ? { level, message } : { level, message, file, line };
}

/** Notes for the broken rules, failures first; the last one counts those that are left out. */
export function annotateFindings(
  findings: readonly Finding[],
  baseline: AnnotatedFile,
): Annotation[] {
  const listed = tallyFindings(findings).broken.map((finding) =>
    annotate(
      finding.level === "fail" ? "error" : "warning",
      describeFinding(finding).trim(),
      baseline,
      findLine(baseline.text, finding),
    )
  );
  if (listed.length <= MAX_ANNOTATIONS) return listed;
  const shown = listed.slice(0, MAX_ANNOTATIONS - 1);
  const rest = listed.slice(shown.length);
  const level = rest.some((one) => one.level === "error") ? "error" : "warning";
  return [...shown, annotate(level, `${rest.length} more: see the job summary`, baseline)];
}

/** The line of a baseline that holds a figure, from 1; 1 where none does. */
export function findLine(text: string, { metric, layer }: Finding): number {
  const ofModel = layer === null && !LAYER_COUNTS.some((name) => name === metric);
  const start = ofModel ? `"${metric}":` : layer === null ? '"layers":' : undefined;
  const name = JSON.stringify(layer);
  // A layer has a line of its own, in a baseline and in a report.
  const index = text.split("\n").findIndex((line) => {
    const content = line.trimStart();
    if (start !== undefined) return content.startsWith(start);
    return content.startsWith(`{"name": ${name},`) || content.startsWith(`{"name":${name},`);
  });
  return Math.max(index, 0) + 1;
}
