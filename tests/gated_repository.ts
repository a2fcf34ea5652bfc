/** A repository with a small model and its baseline, for tests of the action. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { formatBaseline, parseReport, type Report } from "../mod.ts";
import { type Files, smallModel } from "./directories.ts";
import { withFiles } from "./make_model.ts";
import { runMain } from "./run_cli.ts";

/** Where the action looks for a baseline. */
export const BASELINE = ".isotherm/baseline.json";

/** A run of the small model, whose report all tests share. */
const measured: Promise<Report> = (async () => {
  let text = "";
  await withFiles(smallModel(), async (root) => {
    const report = join(root, "report.json");
    const argv = [`--model=${root}/model`, `--output=${root}/out`, `--report=${report}`];
    assert.equal((await runMain(...argv)).code, 0);
    text = Deno.readTextFileSync(report);
  });
  return parseReport(text);
})();

/** A repository. */
export interface Repository {
  /** Its directory. */
  workspace: string;
  /** The directory it is in; the runner's own files go there too. */
  root: string;
  /** What the small model measures. */
  report: Report;
  /** Text of the baseline. */
  baseline: string;
}

/**
 * Makes a repository with a model in `model` and hands it over.
 *
 * @param change What the baseline has that the model no longer reaches; `null`: there is none.
 */
export async function withRepository(
  change: Partial<Report> | null,
  use: (repository: Repository) => Promise<void>,
  more: Files = {},
): Promise<void> {
  const report = await measured;
  const baseline = change === null ? "" : formatBaseline({ ...report, ...change });
  const files = {
    ...smallModel("repository/model"),
    ...change === null ? {} : { [`repository/${BASELINE}`]: baseline },
    ...more,
  };
  await withFiles(
    files,
    (root) => use({ root, workspace: join(root, "repository"), report, baseline }),
  );
}
