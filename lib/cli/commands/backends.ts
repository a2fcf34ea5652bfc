/** `isotherm backends`: what this machine offers, each measured. */

import type { Invocation } from "../parse_args.ts";
import { renderBackends } from "../../render/render_backends.ts";
import { surveyBackends } from "../../jobs/survey_backends.ts";
import type { Io } from "./io.ts";

/** Runs the command. */
export async function backends({ json }: Invocation, io: Io): Promise<void> {
  const survey = await surveyBackends();
  io.stdout(json ? `${JSON.stringify(survey, null, 2)}\n` : renderBackends(survey));
}
