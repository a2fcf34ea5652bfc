/** Writes down what a run came to: Markdown for people, JSON for the next step. */

import { describeOutcome, toComment, toSummary } from "./describe_outcome.ts";
import {
  annotate,
  type AnnotatedFile,
  annotateFindings,
  type Annotation,
  pathInRepository,
} from "./list_annotations.ts";
import { listOutputs, type Outcome, type Results } from "./outcome.ts";
import type { Places } from "./place_files.ts";
import type { Surroundings } from "./surroundings.ts";

/** Writes the summary, the comment and the outcome. */
export async function writeOutcome(
  results: Results,
  places: Places,
  surroundings: Surroundings,
): Promise<Outcome> {
  const { baseline } = results;
  const markdown = await describeOutcome(results, surroundings);
  const file = pathInRepository(baseline, surroundings.workspace);
  const outcome = {
    outputs: listOutputs(results, places.summary),
    annotations: listNotes(results, { file, text: readText(baseline) }),
  };
  Deno.writeTextFileSync(places.summary, toSummary(markdown, surroundings));
  Deno.writeTextFileSync(places.comment, toComment(markdown, baseline, surroundings));
  Deno.writeTextFileSync(places.outcome, `${JSON.stringify(outcome, null, 2)}\n`);
  return outcome;
}

function listNotes({ code, error, gate }: Results, baseline: AnnotatedFile): Annotation[] {
  if (gate?.verdict === "skipped") {
    return [annotate("warning", "There is no baseline: nothing was compared", { file: undefined })];
  }
  if (gate?.verdict === "created") {
    const message = "The baseline was created: review and commit it, as the job summary says";
    return [annotate("notice", message, baseline)];
  }
  if (gate !== undefined) return annotateFindings(gate.findings, baseline);
  // A baseline that is not there has no lines to point at.
  const file = code === 4 && baseline.text !== "" ? baseline.file : undefined;
  return [annotate("error", error ?? `Isotherm ended with exit code ${code}`, { file })];
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
