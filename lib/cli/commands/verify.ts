/** `isotherm verify DIR --against MODEL`: quality recomputed from the written checkpoint. */

import { modelBytes } from "../../model/open_model.ts";
import { renderVerification } from "../../render/render_verification.ts";
import { planVerification, runVerification } from "../../run/verify_checkpoint.ts";
import type { Invocation } from "../parse_args.ts";
import type { Io } from "./io.ts";
import { watchRun } from "./watch_run.ts";

/** Runs the command. */
export async function verify({ output, model, json }: Invocation, io: Io): Promise<void> {
  const plan = planVerification(output, model);
  const watch = watchRun(io, modelBytes(plan.model));
  try {
    const { onProgress } = watch;
    const result = await runVerification(plan, { onProgress, signal: io.signal });
    watch.clear();
    io.stdout(json ? `${JSON.stringify(result, null, 2)}\n` : renderVerification(result));
  } finally {
    watch.clear();
  }
}
