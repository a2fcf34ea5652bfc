/** `isotherm baseline update CURRENT --to FILE`: writes a baseline, and shows what that changes. */

import { quote } from "../../base/text.ts";
import { compareReports } from "../../compare/compare_reports.ts";
import { formatBaseline } from "../../gate/format_baseline.ts";
import { findBaseline, loadFigures } from "../../report/load_report.ts";
import type { Invocation } from "../parse_args.ts";
import { renderComparison } from "../../render/render_comparison.ts";
import type { Io } from "./io.ts";
import { writeBaseline } from "./write_baseline.ts";

/** Runs the command. A file that is there and no baseline is left alone. */
export async function updateBaseline({ files, to, json }: Invocation, io: Io): Promise<void> {
  const [file = ""] = files;
  const current = loadFigures(file);
  const old = findBaseline(to);
  const isSame = old !== undefined && formatBaseline(old) === formatBaseline(current);
  const comparison = old === undefined ? null : compareReports(old, current);
  const show = () => {
    if (json) io.stdout(`${JSON.stringify({ written: !isSame, comparison }, null, 2)}\n`);
    else if (comparison !== null) {
      io.stdout(renderComparison([comparison], { baseline: to, currents: [file] }));
    }
  };
  if (isSame) {
    show();
    io.stderr(`The baseline ${quote(to)} holds these figures already: left as it is\n`);
    return;
  }
  await writeBaseline(to, current, show);
  io.stderr(`Wrote the baseline ${quote(to)}: review and commit it\n`);
}
