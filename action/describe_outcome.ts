/** What a run came to, as Markdown for the job summary and the comment. */

import { basename } from "node:path";
import { escapeText } from "../lib/base/text.ts";
import { codeSpan } from "../lib/render/escape_markdown.ts";
import { renderSummary } from "../lib/render/render_summary.ts";
import { cutMarkdown } from "./cut_markdown.ts";
import { type Results, verdictOf } from "./outcome.ts";
import type { Verdict } from "./verdict.ts";

/** Most bytes of a job summary: GitHub drops one of more than 1 MiB as a whole. */
export const MAX_SUMMARY = 1_000_000;

/** Most bytes of a comment: GitHub refuses one of more than 65,536 characters. */
export const MAX_COMMENT = 65_000;

/** Where people find the rest. */
export interface Links {
  /** Address of the run's page; absent outside of GitHub. */
  run?: string | undefined;
  /** Name of the artifact; empty: none is kept. */
  artifact: string;
}

/** A hidden line by which the comment is known again; one comment for each baseline. */
export function markerOf(baseline: string): string {
  // Two dashes would end the comment for some readers of Markdown.
  return `<!-- isotherm ${encodeURIComponent(baseline).replaceAll("-", "%2D")} -->`;
}

/** The marker a text begins with. */
export const MARKER = /^<!-- isotherm [^\s<>]* -->/;

/** Describes a run. */
export async function describeOutcome(results: Results, links: Links): Promise<string> {
  const { report, gate, error } = results;
  const summary = report && await renderSummary(report.content, {
    ...gate?.comparison && { comparison: gate.comparison, findings: gate.findings },
  });
  const heading = HEADINGS[verdictOf(results)];
  const parts = [
    ...heading === undefined ? [] : [`## Isotherm: ${heading}`],
    ...error === undefined ? [] : [codeBlock(error)],
    ...summary === undefined ? [] : [summary.trimEnd()],
    ...listNotes(results),
    ...report === undefined ? [] : [pointTo(links)],
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

function listNotes({ code, gate, baseline, report }: Results): string[] {
  const name = codeSpan(baseline);
  if (gate?.verdict === "created") {
    return [`There was no baseline: ${name} was written from this run. Review and commit it.`];
  }
  if (gate?.verdict === "skipped") return [`There is no baseline ${name}: nothing was compared.`];
  if (code === 3 && report !== undefined) {
    // A path of the runner means nothing elsewhere; the artifact has the file.
    const file = escapeText(basename(report.path));
    const command = `isotherm baseline update ${file} --to ${escapeText(baseline)}`;
    return ["Where the change is wanted, update the baseline:", codeBlock(command)];
  }
  return [];
}

/** A line of text in which nothing is markup, however long it is. */
function codeBlock(line: string): string {
  return `    ${line.replaceAll(/\s+/g, " ")}`;
}

function pointTo({ run, artifact }: Links): string {
  const place = run === undefined ? "this run" : `[this run](${run})`;
  return artifact === ""
    ? `The full report was made by ${place}.`
    : `Full report: artifact ${codeSpan(artifact)} of ${place}.`;
}
