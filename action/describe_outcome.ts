/** What a run came to, as Markdown for the job summary and the comment. */

import { codeSpan } from "../lib/render/escape_markdown.ts";
import { renderSummary } from "../lib/render/render_summary.ts";
import { adviseCommit, adviseUpdate } from "./accept_baseline.ts";
import { cutMarkdown } from "./cut_markdown.ts";
import { type Results, verdictOf } from "./outcome.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Verdict } from "./verdict.ts";

/** Most bytes of a job summary: GitHub drops one of more than 1 MiB as a whole. */
export const MAX_SUMMARY = 1_000_000;

/** Most bytes of a comment: GitHub refuses one of more than 65,536 characters. */
export const MAX_COMMENT = 65_000;

/** Where people find the rest. */
export type Links = Pick<Surroundings, "run" | "artifact">;

/** A hidden line by which the comment is known again; one comment for each baseline. */
export function markerOf(baseline: string): string {
  // Two dashes would end the comment for some readers of Markdown.
  return `<!-- isotherm ${encodeURIComponent(baseline).replaceAll("-", "%2D")} -->`;
}

/** The marker a text begins with. */
export const MARKER = /^<!-- isotherm [^\s<>]* -->/;

/** Describes a run. */
export async function describeOutcome(
  results: Results,
  surroundings: Surroundings,
): Promise<string> {
  const { report, gate, error } = results;
  const summary = report && await renderSummary(report.content, {
    ...gate?.comparison && { comparison: gate.comparison, findings: gate.findings },
  });
  const heading = HEADINGS[verdictOf(results)];
  const parts = [
    ...heading === undefined ? [] : [`## Isotherm: ${heading}`],
    ...error === undefined ? [] : [codeBlock([error.replaceAll(/\s+/g, " ")])],
    ...summary === undefined ? [] : [summary.trimEnd()],
    ...listNotes(results, surroundings),
    ...nameCommits(results, surroundings),
    ...report === undefined ? [] : [pointTo(surroundings)],
  ];
  return `${parts.join("\n\n")}\n`;
}

/** The job summary's text. */
export function toSummary(markdown: string, links: Links): string {
  return cutMarkdown(markdown, MAX_SUMMARY, `Cut here. ${pointTo(links)}`);
}

/** The comment's text. */
export function toComment(markdown: string, baseline: string, links: Links): string {
  const text = `${markerOf(baseline)}\n${markdown}`;
  return cutMarkdown(text, MAX_COMMENT, `Cut here. ${pointTo(links)}`);
}

/** Headings of runs in which the gate did not decide; it has its own. */
const HEADINGS: Partial<Record<Verdict, string>> = {
  "baseline-problem": "problem with the baseline",
  "bad-input": "bad input",
  crash: "crash",
};

function listNotes(
  { code, gate, baseline, report }: Results,
  surroundings: Surroundings,
): string[] {
  if (gate?.verdict === "skipped") {
    return [`There is no baseline ${codeSpan(baseline)}: nothing was compared.`];
  }
  const advice = gate?.verdict === "created"
    ? adviseCommit(baseline, surroundings)
    : (code === 3 || code === 4) && report !== undefined
    ? adviseUpdate(baseline, surroundings)
    : undefined;
  if (advice === undefined) return [];
  const { words, commands } = advice;
  return [words, ...commands.length === 0 ? [] : [codeBlock(commands)]];
}

/** The commits that were compared, as far as they are known. */
function nameCommits({ gate, baseline }: Results, { head, base }: Surroundings): string[] {
  if (head === undefined) return [];
  const commit = `Commit ${codeSpan(head)}`;
  if (!gate?.comparison || base === undefined) return [`${commit}.`];
  return [
    `${commit}; baseline as in ${codeSpan(baseline)} at base ${codeSpan(base)}, ` +
    "where neither the pull request nor a cache changed it.",
  ];
}

/** Lines in which nothing is markup, however long they are. */
function codeBlock(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join("\n");
}

function pointTo({ run, artifact }: Links): string {
  const place = run === undefined ? "this run" : `[this run](${run.address})`;
  return artifact === ""
    ? `The full report was made by ${place}.`
    : `Full report: artifact ${codeSpan(artifact)} of ${place}.`;
}
