/** `isotherm verify DIR --against MODEL`: quality recomputed from the written checkpoint. */

import { quote } from "../../base/text.ts";
import { renderVerification } from "../../render/render_verification.ts";
import { loadFigures } from "../../report/load_report.ts";
import { checkReport } from "../../run/check_report.ts";
import { planVerification } from "../../run/plan_verification.ts";
import { runVerification } from "../../run/verify_checkpoint.ts";
import type { Invocation } from "../parse_args.ts";
import type { Io } from "./io.ts";
import { watchRun } from "./watch_run.ts";

/** Runs the command. */
export async function verify(invocation: Invocation, io: Io): Promise<void> {
  const { output, model, json, checkedReport: name } = invocation;
  const report = name === undefined ? undefined : loadFigures(name);
  const plan = planVerification(output, model);
  const watch = watchRun(io, plan.sourceBytes);
  try {
    const { onProgress } = watch;
    const result = await runVerification(plan, { onProgress, signal: io.signal });
    watch.clear();
    if (report !== undefined) {
      checkReport(report, result, { name: name!, byteLength: plan.byteLength });
      const rest = report.output_sqnr_db === undefined
        ? ""
        : ", but for its output figures, which take the calibration and are not checked";
      io.stderr(`The report ${quote(name!)} agrees with what is on disk${rest}\n`);
    }
    await io.stdout(json ? `${JSON.stringify(result, null, 2)}\n` : renderVerification(result));
  } finally {
    watch.clear();
  }
}
