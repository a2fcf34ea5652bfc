/** Where the files of a run lie. */

import { join } from "node:path";

/** What the artifact calls the JSON report. */
export const REPORT_NAME = "report.json";

/** What the artifact calls a baseline that was created. */
export const BASELINE_NAME = "baseline.json";

/** Paths in the directory of a run; all but the model go into the artifact. */
export interface Places {
  /** The quantized model, where no other place is asked for. */
  model: string;
  /** What goes into the artifact. */
  reports: string;
  /** The JSON report: of a run, or a copy of the one that was given. */
  report: string;
  /** A baseline that was created. */
  baseline: string;
  /** The page. */
  html: string;
  /** Markdown of the job summary. */
  summary: string;
  /** Markdown of the comment, with its marker. */
  comment: string;
  /** What `measure` leaves to `publish`. */
  outcome: string;
}

/** Names the files of a run. */
export function placeFiles(directory: string): Places {
  const reports = join(directory, "report");
  return {
    model: join(directory, "model"),
    reports,
    report: join(reports, REPORT_NAME),
    baseline: join(reports, BASELINE_NAME),
    html: join(reports, "report.html"),
    summary: join(reports, "summary.md"),
    comment: join(reports, "comment.md"),
    outcome: join(reports, "outcome.json"),
  };
}
