/** `isotherm inspect DIR`: what a model holds and what would be quantized. */

import { BadInputError } from "../../base/errors.ts";
import type { Invocation } from "../parse_args.ts";
import { checkPlan } from "../../run/check_plan.ts";
import { listWarnings } from "../../run/list_warnings.ts";
import { openPlan } from "../../run/plan_run.ts";
import { summarizePlan } from "../../run/summarize_plan.ts";
import { renderPlan } from "../../render/render_plan.ts";
import type { Io } from "./io.ts";

/** Runs the command; a model that a run would refuse is shown all the same, with the reason. */
export async function inspect({ model, settings, json }: Invocation, io: Io): Promise<void> {
  const plan = await openPlan(model, settings);
  const summary = summarizePlan(plan, settings);
  io.stdout(json ? `${JSON.stringify(summary, null, 2)}\n` : renderPlan(summary));
  for (const line of listWarnings(plan, settings)) io.stderr(`${line}\n`);
  try {
    checkPlan(plan, settings);
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    io.stderr(`A run would be refused: ${error.message}\n`);
  }
}
