/** Quantizes, or takes a report, and judges it; what goes wrong becomes a part of the results. */

import { dirname } from "node:path";
import { describeIoError } from "../lib/base/describe_io_error.ts";
import { BadInputError } from "../lib/base/errors.ts";
import { quote } from "../lib/base/text.ts";
import { parseArgs } from "../lib/cli/parse_args.ts";
import { parseRules } from "../lib/gate/parse_rules.ts";
import { loadReport, loadRules } from "../lib/report/load_report.ts";
import type { Report } from "../lib/report/build_report.ts";
import { renderFindings } from "../lib/render/render_findings.ts";
import { loadPageTools, renderHtml } from "../lib/render/render_html.ts";
import { callCli } from "./call_cli.ts";
import { gateArguments, quantizeArguments } from "./list_arguments.ts";
import type { GateResult, Results } from "./outcome.ts";
import type { Places } from "./place_files.ts";
import type { Inputs } from "./read_inputs.ts";
import { say } from "./say.ts";

/** Runs what the inputs ask for. */
export async function judgeRun(inputs: Inputs, places: Places): Promise<Results> {
  await loadPageTools();
  const { baseline } = inputs;
  const path = inputs.report || places.report;
  const gateArgv = gateArguments(inputs, path);
  // What the gate would refuse is refused before the work.
  const { gate: { rules } } = await parseArgs(gateArgv);
  if (rules !== undefined) loadRules(rules, parseRules);
  if (inputs.report === "") {
    const { code, stdout, error } = await callCli(quantizeArguments(inputs, places), say);
    if (code !== 0) return { code, error, baseline };
    say(stdout);
  }
  const content = loadReport(path);
  if (path !== places.report) Deno.copyFileSync(path, places.report);
  const report = { path, content };
  if (inputs.missing === "create") makeDirectory(dirname(baseline));
  const { code, stdout, error } = await callCli(gateArgv, say);
  // Without a judgement there is a page all the same: it shows what was measured.
  const gate = stdout === "" ? undefined : JSON.parse(stdout) as GateResult;
  if (gate?.comparison) logJudgement(gate);
  if (gate?.verdict === "created") Deno.copyFileSync(baseline, places.baseline);
  const htmlPath = await writePage(content, gate, inputs.htmlReport, places.html);
  return { code, error, baseline, report, htmlPath, ...gate && { gate } };
}

/** Makes the directory of a first baseline; where that fails, writing the baseline says why. */
function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true });
  } catch {
    // Told with the baseline's name.
  }
}

function logJudgement({ verdict, comparison, ...judged }: GateResult): void {
  if (comparison === null) return;
  say(renderFindings({ passed: verdict === "passed", comparison, ...judged }));
}

/** Writes the page into the artifact and, where it is asked for, to another place; gives that one. */
async function writePage(
  report: Report,
  gate: GateResult | undefined,
  wanted: string,
  place: string,
): Promise<string> {
  const page = await renderHtml(report, gate?.comparison ? { comparison: gate.comparison } : {});
  Deno.writeTextFileSync(place, page);
  if (wanted === "") return place;
  try {
    Deno.writeTextFileSync(wanted, page);
  } catch (error) {
    throw new BadInputError(`Cannot write html-report ${quote(wanted)}: ${describeIoError(error)}`);
  }
  return wanted;
}
