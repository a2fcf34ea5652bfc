/** What someone does who accepts a run as the baseline: words, and commands that they have. */

import { dirname } from "node:path";
import { codeSpan } from "../lib/render/escape_markdown.ts";
import { quoteForShell, quotePath } from "../lib/render/repeat_command.ts";
import { pathInRepository } from "./list_annotations.ts";
import { BASELINE_NAME, REPORT_NAME } from "./place_files.ts";
import type { Surroundings } from "./surroundings.ts";

/** Isotherm without an installation; ISOTHERM stands for a checkout of the action's repository. */
const COMMAND = "npx --yes deno@2.9.6 run --no-prompt --allow-read --allow-write=. ISOTHERM/cli.ts";

/** What to do. */
export interface Advice {
  /** A sentence of Markdown. */
  words: string;
  /** Lines for a shell; none where the words say it all. */
  commands: string[];
}

/** How a baseline that a run has just created becomes a file of the repository. */
export function adviseCommit(
  baseline: string,
  { workspace, run, artifact }: Surroundings,
): Advice {
  const file = pathInRepository(baseline, workspace);
  const created = `There was no baseline: ${codeSpan(baseline)} was written from this run.`;
  if (file === undefined) {
    return { words: `${created} It lies outside of the repository: keep it there.`, commands: [] };
  }
  const path = quotePath(file);
  const commit = [`git add ${path}`, 'git commit --message "Add the quantization baseline"'];
  if (run === undefined) return { words: `${created} Review and commit it:`, commands: commit };
  if (artifact === "") {
    return {
      words: `${created} The runner's files vanish: give the input ${
        codeSpan("artifact")
      } a name, or commit the file in a step of the workflow.`,
      commands: [],
    };
  }
  return {
    words: `${created} The runner's files vanish: review ${codeSpan(BASELINE_NAME)} of artifact ${
      codeSpan(artifact)
    }, and commit it in a checkout of the branch:`,
    commands: [
      'artifact="$(mktemp -d)"',
      `gh run download ${run.id} --repo ${quoteForShell(run.repository)} ` +
      `--name ${quoteForShell(artifact)} --dir "$artifact"`,
      ...makeDirectory(file),
      `cp "$artifact/${BASELINE_NAME}" ${path}`,
      ...commit,
    ],
  };
}

/** How a run that another baseline judges, or none, becomes the baseline. */
export function adviseUpdate(
  baseline: string,
  { workspace, artifact, updateWorkflow }: Surroundings,
): Advice {
  if (updateWorkflow !== undefined) {
    const workflow = codeSpan(updateWorkflow);
    return {
      words:
        `To accept this run, start the workflow ${workflow} by hand: it writes the new baseline.`,
      commands: [],
    };
  }
  const origin = artifact === ""
    ? "a run that keeps an artifact"
    : `artifact ${codeSpan(artifact)}`;
  const path = pathInRepository(baseline, workspace) ?? baseline;
  return {
    words:
      `To accept this run, make ${codeSpan(REPORT_NAME)} of ${origin} the baseline and commit ` +
      "it; ISOTHERM is a checkout of the action's repository:",
    commands: [
      ...makeDirectory(path),
      `${COMMAND} baseline update ${REPORT_NAME} --to ${quotePath(path)}`,
    ],
  };
}

/** Makes the folder of a file, which Git does not keep where it is empty. */
function makeDirectory(path: string): string[] {
  const folder = dirname(path);
  return folder === "." ? [] : [`mkdir -p ${quotePath(folder)}`];
}
