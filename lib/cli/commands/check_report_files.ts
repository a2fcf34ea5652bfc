/** Where the report of a run, its log and its page may go; said before the work begins. */

import { relative } from "node:path";
import { BadInputError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { isLeftByRun } from "../../report/load_report.ts";
import { areInTheWay, checkpointFiles } from "../../run/checkpoint_files.ts";
import { holdsFile, isInside, resolvePath } from "../../run/check_output.ts";
import type { RunPlan } from "../../run/plan_run.ts";
import type { Invocation } from "../parse_args.ts";

/** The report's name with .log. */
export function logName(report: string): string {
  if (report.endsWith(".log")) {
    throw new BadInputError(`--report is ${quote(report)}, must not end in .log: the log does`);
  }
  return `${report.replace(/\.json$/, "")}.log`;
}

/**
 * Checks where the report of a run, its log and its page are to go.
 *
 * @param target The real path of the output, which may be replaced.
 * @throws {BadInputError} A path lies in the model, belongs to another file of the run, or holds what
 *   may not be replaced.
 */
export function checkReportFiles(
  { report, htmlReport, overwrite }: Invocation,
  plan: RunPlan,
  target: string,
): void {
  const files = [
    { file: report, kind: "report", flag: "--report" },
    { file: logName(report), kind: "log", flag: "--report" },
    ...htmlReport === undefined
      ? []
      : [{ file: htmlReport, kind: "page", flag: "--html-report" } as const],
  ] as const;
  const paths = files.map(({ file }) => resolvePath(file));
  const checkpoint = checkpointFiles(plan);
  for (const [i, { file, kind, flag }] of files.entries()) {
    const path = paths[i]!;
    const fail = (what: string, more = "") => {
      throw new BadInputError(`Cannot write ${quote(file)}: ${what}: give another ${flag}${more}`);
    };
    if (isInside(path, plan.source.directory)) fail("it lies inside the model directory");
    if (paths.slice(0, i).some((other) => areInTheWay(other, path))) {
      fail("the report or its log goes there");
    }
    if (isInside(path, target)) {
      const name = relative(target, path);
      const taken = checkpoint.find((one) => areInTheWay(one, name));
      if (taken !== undefined) fail(`the checkpoint's ${quote(taken)} goes there`);
    } else if (holdsFile(path, file)) {
      if (!overwrite) fail("it exists and is not empty", ", or --overwrite to replace it");
      if (!isLeftByRun(path, kind)) {
        fail(`it cannot be read as a ${kind} of Isotherm`, ", or remove it yourself");
      }
    }
  }
}
