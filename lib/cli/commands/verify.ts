/** `isotherm verify DIR --against MODEL`: quality recomputed from the written checkpoint. */

import type { Invocation } from "../parse_args.ts";
import { renderVerification } from "../../render/render_verification.ts";
import { verifyCheckpoint } from "../../run/verify_checkpoint.ts";
import type { Io } from "./io.ts";
import { watchRun } from "./watch_run.ts";

/** Runs the command. */
export async function verify({ output, model, json }: Invocation, io: Io): Promise<void> {
  const watch = watchRun(io, 0);
  try {
    const result = await verifyCheckpoint(output, model, watch.onProgress);
    watch.clear();
    io.stdout(json ? `${JSON.stringify(result, null, 2)}\n` : renderVerification(result));
  } finally {
    watch.clear();
  }
}
