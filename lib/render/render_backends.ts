/** What `backends` found, for people. */

import type { BackendSurvey } from "../jobs/survey_backends.ts";
import { escapeText } from "../base/text.ts";

/** Renders a survey, one line for each backend. */
export function renderBackends(survey: readonly BackendSurvey[]): string {
  const lines = survey.map(({ name, description, elements_per_second, parallel }) => {
    const speed = elements_per_second === null
      ? "not available"
      : `${(elements_per_second / 1e6).toFixed(0)} M weights/s${
        parallel > 1 ? ` x ${parallel}` : ""
      }`;
    return `${name.padEnd(10)} ${speed.padEnd(24)} ${escapeText(description)}`;
  });
  return `${lines.join("\n")}\n`;
}
