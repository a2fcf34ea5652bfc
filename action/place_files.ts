/** Where the files of a run lie. */

import { join } from "node:path";

/** Paths in the directory of a run; all but the model go into the artifact. */
export interface Places {
  /** The quantized model, where no other place is asked for. */
  model: string;
  /** What goes into the artifact. */
  reports: string;
  /** The JSON report of a run. */
  report: string;
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
    report: join(reports, "report.json"),
    html: join(reports, "report.html"),
    summary: join(reports, "summary.md"),
    comment: join(reports, "comment.md"),
    outcome: join(reports, "outcome.json"),
  };
}
