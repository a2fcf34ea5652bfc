/** `isotherm gate BASELINE CURRENT`: whether a report is worse than its baseline. */

import { dirname, join } from "node:path";
import { loadEngineFor } from "../../base/match_pattern.ts";
import { quote } from "../../base/text.ts";
import { chooseRules, type GateRule } from "../../gate/gate_rules.ts";
import { judgeReports } from "../../gate/judge_reports.ts";
import {
  exists,
  findBaseline,
  loadBaseline,
  loadFigures,
  loadRules,
} from "../../report/load_report.ts";
import { parseRules } from "../../gate/parse_rules.ts";
import type { ReportFigures } from "../../report/report_figures.ts";
import { DEFAULT_RULES } from "../flags.ts";
import type { Invocation } from "../parse_args.ts";
import { quotePath, startProgram } from "../../render/repeat_command.ts";
import { renderFindings } from "../../render/render_findings.ts";
import type { Io } from "./io.ts";
import { writeBaseline } from "./write_baseline.ts";

/**
 * Runs the command.
 *
 * @returns Whether the gate is passed.
 */
export async function gate(
  { files, gate: flags, json }: Invocation,
  io: Io,
): Promise<boolean> {
  const [baselineFile = "", currentFile = ""] = files;
  const current = loadFigures(currentFile);
  const rules = chooseRules(await readRules(flags.rules, baselineFile, io), flags);
  const baseline = flags.missing === "fail"
    ? loadBaseline(baselineFile)
    : findBaseline(baselineFile);
  if (baseline === undefined) {
    await startWithout(flags.missing === "create", baselineFile, current, json, io);
    return true;
  }
  const judgement = judgeReports(baseline, current, { rules, baselineName: baselineFile });
  const { passed, findings, improvements, advice, comparison } = judgement;
  const verdict = passed ? "passed" : "failed";
  io.stdout(
    json
      ? `${JSON.stringify({ verdict, findings, improvements, advice, comparison }, null, 2)}\n`
      : renderFindings(judgement),
  );
  if (!passed) {
    const [from, to] = [currentFile, baselineFile].map(quotePath);
    io.stderr(
      `Where the change is wanted: ${startProgram(io.entry)} baseline update ${from} --to ${to}\n`,
    );
  }
  return passed;
}

/** Rules of the file named, or of the one beside the baseline, if there is one. */
async function readRules(
  named: string | undefined,
  baselineFile: string,
  io: Io,
): Promise<GateRule[]> {
  const path = named ?? join(dirname(baselineFile), DEFAULT_RULES);
  if (named === undefined && !exists(path)) return [];
  // What patterns a file has is known when it is read.
  await loadEngineFor(["re:"]);
  const rules = loadRules(path, parseRules);
  io.stderr(`Rules from ${quote(path)}\n`);
  return rules;
}

/** A first run: there is nothing to compare with, and that is said. */
async function startWithout(
  create: boolean,
  path: string,
  current: ReportFigures,
  json: boolean,
  io: Io,
): Promise<void> {
  const verdict = create ? "created" : "skipped";
  const show = () => {
    const text = `GATE ${verdict.toUpperCase()}: nothing was compared`;
    io.stdout(
      json
        ? `${
          JSON.stringify(
            { verdict, findings: [], improvements: [], advice: null, comparison: null },
            null,
            2,
          )
        }\n`
        : `${text}\n`,
    );
  };
  if (create) {
    await writeBaseline(path, current, show);
    io.stderr(`Wrote the baseline ${quote(path)}: review and commit it\n`);
    return;
  }
  show();
  io.stderr(
    `Warning: There is no baseline ${quote(path)}: ` +
      "write it with isotherm baseline update CURRENT --to FILE\n",
  );
}
